"""What our pretraining loop is worth: tokens per second against the Hugging Face Trainer.

    python -m benchmarks.train [--quick]

Same model, tokens, sequence length, batch, mask rate and precision (bfloat16). Not the same: the
loop's optimizer is Muon with AdamW, the Trainer's AdamW alone, which is cheaper per step; and the Trainer
makes logits for every position, the loop for the hidden ones. The Trainer needs `accelerate`, which lives
in `.venv-bench`; torch and transformers are those of this environment on both sides.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import BenchmarkError, Result, around, in_turn, machine, run
from flows import settings
from tasks.store import Store

BAR = 1.1
BAR_REASON = "The bar: a plain tight loop over the same model had given 1.1 to 1.3."
ROOT = Path(__file__).resolve().parent.parent
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SEQUENCE, BATCH = 128, 32


def measure(arguments: argparse.Namespace) -> Result:
    """Train both sides in turn, each in a process that stays; the ratio is that of tokens per second.

    Raises:
        BenchmarkError: no tokens or no peer here, or a side ended without a figure.
    """
    if not PEER_PYTHON.exists():
        raise BenchmarkError(f"{PEER_PYTHON} is missing; make it as requirements-bench.lock says")
    steps, rounds = (6, 5) if arguments.quick else (100, 7)
    with tempfile.TemporaryDirectory() as scratch:
        job = _job(Path(scratch), steps)
        with _side(Path(sys.executable), "loop", job) as ours, _side(PEER_PYTHON, "trainer", job) as peer:
            pairs = in_turn(ours.train, peer.train, rounds)
    loop, trainer = zip(*pairs, strict=True)
    return Result(
        name="train",
        title="Pretraining: our loop against the Hugging Face Trainer",
        columns=["side", "tokens/s"],
        rows=[["loop (Muon + AdamW)", around(loop, 0)], ["Trainer (fused AdamW)", around(trainer, 0)]],
        ratios=[mine / theirs for mine, theirs in pairs],
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: tokens per second, loop / Trainer; {rounds} rounds of {steps} steps with {BATCH} x "
        f"{SEQUENCE} tokens per side, medians with the spread. {BAR_REASON} "
        f"{machine(['torch', 'transformers'])}.",
    )


def _job(scratch: Path, steps: int) -> Path:
    """A job for `model_code.pretrain` on the newest tokens here, cut so that evaluation takes no time."""
    from model_code.data.shards import open_split, write_split

    store = Store(settings.home())
    made = [manifest for manifest in store.manifests() if manifest.stage == "tokenize"]
    if not made:
        raise BenchmarkError(f"{store.home} holds no tokens; run a recipe first: `textmill run`")
    newest = max(made, key=lambda manifest: manifest.made_at)
    artifact = store.place(newest.stage, newest.key)
    for split, batches in (("train", steps), ("validation", 1)):
        source = open_split(artifact / "tokens", split)
        ids = source.ids[: batches * BATCH * SEQUENCE]
        write_split(scratch / "tokens", split, [ids.tolist()], source.info.vocabulary)
    (scratch / "output").mkdir()
    paths = {name: str(scratch / name) for name in ("tokens", "output", "scratch")}
    config = {
        "steps": steps,
        "sequence_length": SEQUENCE,
        "batch_size": BATCH,
        "checkpoint_every": steps + 1,
        "precision": "bfloat16",
    }
    job = scratch / "job.json"
    job.write_text(json.dumps({**paths, "tokenizer": str(artifact / "tokenizer"), "config": config}))
    return job


@dataclass(frozen=True)
class Side:
    """One side's process, which trains once for each line it reads, and the file with its last words."""

    process: subprocess.Popen[str]
    log: Path

    def train(self) -> float:
        """Tokens per second of one run. Raises BenchmarkError when the process ends instead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print("train", file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            words = self.log.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"train: the {self.log.stem} ended without a figure:\n{words}")
        return float(line)


@contextlib.contextmanager
def _side(python: Path, side: str, job: Path) -> Iterator[Side]:
    # The peer's own environment has accelerate only; the rest it finds in ours.
    paths = [str(ROOT), sysconfig.get_path("purelib")]
    log = job.with_name(f"{side}.log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [python, "-m", "benchmarks.train_worker", side, job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
        )
        try:
            yield Side(process, log)
        finally:
            process.kill()
            process.communicate()


def arguments() -> argparse.ArgumentParser:
    """The options of this benchmark, besides those of all."""
    return argparse.ArgumentParser(prog="python -m benchmarks.train")


if __name__ == "__main__":
    sys.exit(run(measure, arguments()))
