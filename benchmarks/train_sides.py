"""The two sides of a training benchmark: a process each, on one core, which trains whenever it is asked."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import BenchmarkError
from benchmarks.train_run import TrainingMeasured
from benchmarks.train_tokens import prepared_tokens

ROOT = Path(__file__).resolve().parent.parent
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Side:
    """One side's process, and the file with its last words."""

    process: subprocess.Popen[str]
    log: Path

    def train(self, config: Mapping[str, Any], peer: Mapping[str, Any] | None = None) -> TrainingMeasured:
        """Train once with a config of the side's kind; `peer` is what only the Trainer is told.

        Raises BenchmarkError when the process ends instead.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(
                json.dumps({"config": dict(config), "peer": dict(peer or {})}),
                file=self.process.stdin,
                flush=True,
            )
        line = self.process.stdout.readline()
        if not line:
            words = self.log.read_text(errors="replace", encoding="utf-8")[-2000:]
            raise BenchmarkError(f"train: the {self.log.stem} ended without a figure:\n{words}")
        return TrainingMeasured(**json.loads(line))


Sides = tuple[Side, Side]


@contextlib.contextmanager
def both_sides(quick: bool) -> Iterator[Sides]:
    """Our loop and the Trainer, ready to pretrain on the same tokens; they end with the block.

    Raises BenchmarkError when the Trainer's environment is missing.
    """
    require_peer()
    corpus = prepared_tokens(1 if quick else 24)
    paths = {"tokens": corpus / "tokens", "tokenizer": corpus / "tokenizer"}
    with opened("loop", "trainer", paths) as sides:
        yield sides


def require_peer() -> None:
    """Raise BenchmarkError when the Trainer's environment is missing."""
    if not PEER_PYTHON.exists():
        raise BenchmarkError(f"{PEER_PYTHON} is missing; make it with `make bench-env`")


@contextlib.contextmanager
def opened(ours: str, trainer: str, paths: Mapping[str, Path]) -> Iterator[Sides]:
    """Two sides of `train_worker` that read the same paths."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        loop, peer = (
            stack.enter_context(_side(python, name, _job(Path(scratch) / name, paths)))
            for python, name in ((Path(sys.executable), ours), (PEER_PYTHON, trainer))
        )
        yield loop, peer


def _job(folder: Path, paths: Mapping[str, Path]) -> Path:
    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    job = folder / "job.json"
    own = {"output": folder / "output", "scratch": folder / "scratch"}
    job.write_text(json.dumps({**paths, **own}, default=str), encoding="utf-8")
    return job


@contextlib.contextmanager
def _side(python: Path, side: str, job: Path) -> Iterator[Side]:
    # The peer's own environment has accelerate only; the rest it finds in ours.
    paths = [str(ROOT), sysconfig.get_path("purelib")]
    log = job.with_name(f"{side}.log")
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [python, "-m", "benchmarks.train_worker", side, job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
            encoding="utf-8",
        )
        try:
            yield Side(process, log)
        finally:
            process.kill()
            process.communicate()
