"""GPT-2 on one GPU: tokens per second and MFU of our loop, of a plain loop and of the Hugging Face Trainer.

    python -m benchmarks.train_gpu [--presets base,350m,1b] [--steps N] [--corpus FOLDER] [--tiny]

Needs torch and transformers only, and makes its tokens at random; the Trainer takes part where `accelerate`
can be imported. All sides train transformers' own GPT-2 with sequences of 1,024 in bfloat16 and fused AdamW.
The plain loop is nanoGPT's: the whole model compiled, documents not kept apart. MFU counts the operations of
`model_code.cost` against the GPU's data sheet. The first preset also resumes from a kill, and with a corpus
(`benchmarks.train_tokens` makes one) trains until its held-out loss is 4.0. `--tiny` runs all of it small,
on any machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import nn

from benchmarks.train_gpu_records import resumes_exactly, seconds_to_loss
from model_code.config.pretraining import PretrainConfig
from model_code.cost import peak_flops, step_cost
from model_code.data.shards import SplitWriter, open_split
from model_code.data.vocabulary import vocabulary_of
from model_code.job import Job, Reporter
from model_code.models.families import family_named
from model_code.objectives.choice import objective_of
from model_code.pretraining import pretrain
from model_code.runtime import prepare

VOCABULARY = 50_304  # GPT-2's 50,257, rounded up to whole tiles of 64
DOCUMENT = 500
WARM_UP = 5  # steps; compiling happens in the first of them
SEQUENCES = {"base": 64, "350m": 32, "1b": 16, "tiny": 4}
LOSS, LEARNING = 4.0, 2000  # nats per token, and the steps it may take
COLUMNS = "preset     side       tokens/s     MFU    GB"


def main() -> int:
    """Print the records and a line per preset and side; exit code 1 if a resume is not exact, 2 if no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_gpu")
    parser.add_argument("--presets", default="base,350m,1b")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--corpus", type=Path, help="folder with tokens/ and tokenizer/")
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a machine without a GPU")
    arguments = parser.parse_args()
    if not (torch.cuda.is_available() or arguments.tiny):
        print("no GPU here, nothing is measured; --tiny shows that the program runs", file=sys.stderr)
        return 2
    configs = [
        PretrainConfig(
            family="gpt2",
            preset=preset,
            sequence_length=32 if arguments.tiny else 1024,
            batch_size=SEQUENCES[preset],
            steps=arguments.steps,
            optimizer="adamw",
            learning_rate=6e-4,
            precision="bfloat16",
            checkpoint_every=10**9,
        )
        for preset in (["tiny"] if arguments.tiny else arguments.presets.split(","))
    ]
    vocabulary = 120 if arguments.tiny else VOCABULARY
    # The records come first: the other sides change settings of torch that the killed run's process lacks.
    with tempfile.TemporaryDirectory() as folder:
        code = _records(_job(Path(folder), configs[0], vocabulary), Path(folder), arguments)
    print(COLUMNS)
    for config in configs:
        with tempfile.TemporaryDirectory() as folder:
            _compare(config, _job(Path(folder), config, vocabulary))
    return code


def _records(job: Job, folder: Path, arguments: argparse.Namespace) -> int:
    """Print whether a resume is exact and the time to a loss; the exit code."""
    exact = resumes_exactly(job, folder)
    print(f"resume after kill -9: {'the same' if exact else 'OTHER'} losses and weights, bit for bit")
    if arguments.corpus:
        paths = {name: arguments.corpus / name for name in ("tokens", "tokenizer")}
        steps, loss, every = (20, 5.0, 5) if arguments.tiny else (LEARNING, LOSS, 25)
        learning = Job(job.paths | paths, job.values | {"steps": steps})
        found = seconds_to_loss(learning, folder, loss, every)
        told = f"{found[0]:.0f} s, {found[1]} steps" if found else f"not in {steps} steps"
        tokens = open_split(paths["tokens"], "train").info.tokens
        print(f"held-out loss {loss}: {told}; corpus of {tokens:,} tokens")
    return 0 if exact else 1


def _compare(config: PretrainConfig, job: Job) -> None:
    """Train with each side in turn and print its figures."""
    runtime = prepare(config.precision)
    vocabulary = vocabulary_of(job.paths["tokenizer"])
    cost = step_cost(config, vocabulary, objective_of(config, vocabulary), runtime)
    peak = peak_flops(runtime)
    sides: dict[str, Callable[[PretrainConfig, Job], list[float]]] = {"ours": _ours, "plain": _plain}
    if importlib.util.find_spec("accelerate"):
        sides["trainer"] = _trainer
    for name, train in sides.items():
        if runtime.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        times = train(config, job)
        steps = len(times) - WARM_UP
        speed = steps * config.batch_size * config.sequence_length / (times[-1] - times[WARM_UP - 1])
        memory = torch.cuda.max_memory_allocated() / 1e9 if runtime.device.type == "cuda" else 0.0
        print(
            f"{config.preset:<10} {name:<8} {speed:>10,.0f} {cost.mfu(speed, peak):>7.1%} {memory:>5.0f}",
            flush=True,
        )


def _ours(config: PretrainConfig, job: Job) -> list[float]:
    """`model_code.pretraining`, timed between its events, which come twice a second."""

    class Clock(Reporter):
        def __init__(self) -> None:
            super().__init__(io.StringIO())
            self.times = dict[int, float]()

        def event(self, kind: str, **values: Any) -> None:
            if kind == "progress":
                self.times[values["step"]] = time.perf_counter()

    clock = Clock()
    pretrain(job, clock)
    steps = sorted(clock.times)
    begin = next((step for step in steps[:-1] if step >= WARM_UP), steps[0])
    pace = (clock.times[steps[-1]] - clock.times[begin]) / (steps[-1] - begin)
    return [pace * step for step in range(config.steps)]


def _plain(config: PretrainConfig, job: Job) -> list[float]:
    """A plain loop over the stock model; times at the end of each step."""
    runtime = prepare(config.precision)
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("high")
    model = _model(config, job).to(runtime.device)
    assert config.learning_rate is not None  # it is left open only where a training starts from a checkpoint
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95), fused=True)
    run = torch.compile(model) if runtime.device.type == "cuda" else model
    rows = _slices(config, job)
    times = []
    for step in range(config.steps):
        chosen = torch.arange(step * config.batch_size, (step + 1) * config.batch_size) % len(rows)
        ids = rows[chosen].to(runtime.device)
        with runtime.autocast():
            loss = run(input_ids=ids, labels=ids).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        _wait()
        times.append(time.perf_counter())
    return times


def _trainer(config: PretrainConfig, job: Job) -> list[float]:
    """The Trainer with the whole model compiled; times at the end of each step."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            _wait()
            times.append(time.perf_counter())

    gpu = torch.cuda.is_available()
    torch.use_deterministic_algorithms(False)
    assert config.learning_rate is not None
    trainer = Trainer(
        model=_model(config, job),
        args=TrainingArguments(
            output_dir=str(job.paths["scratch"]),
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            max_grad_norm=config.clip,
            optim="adamw_torch_fused",
            bf16=True,
            tf32=gpu or None,
            torch_compile=gpu,
            use_cpu=not gpu,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        callbacks=[Clock()],
        train_dataset=[{"input_ids": row, "labels": row} for row in _slices(config, job)],
    )
    trainer.remove_callback(PrinterCallback)  # its figures would stand among ours
    trainer.train()
    return times


def _model(config: PretrainConfig, job: Job) -> Any:
    torch.manual_seed(config.seed)
    model = family_named("gpt2").build(config.shape, vocabulary_of(job.paths["tokenizer"]))
    model.train()
    return model


def _slices(config: PretrainConfig, job: Job) -> torch.Tensor:
    ids = open_split(job.paths["tokens"], "train").ids
    whole = len(ids) // config.sequence_length * config.sequence_length
    return torch.from_numpy(ids[:whole].astype(np.int64)).view(-1, config.sequence_length)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _job(folder: Path, config: PretrainConfig, vocabulary: int) -> Job:
    """A job on random documents, enough for eight batches."""
    write_random_corpus(folder, config.batch_size * config.sequence_length, vocabulary)
    paths = {name: folder / name for name in ("tokens", "tokenizer", "output", "scratch")}
    for name in ("output", "scratch"):
        paths[name].mkdir()
    return Job(paths, vars(config))


def write_random_corpus(folder: Path, batch: int, vocabulary: int) -> None:
    """`tokens/` with eight batches of so many tokens to train on and one held out, and `tokenizer/`."""
    (folder / "tokenizer").mkdir()
    words = {"[PAD]": 0, "<|endoftext|>": 1} | {f"w{number}": number for number in range(2, vocabulary)}
    Tokenizer(models.WordLevel(words, unk_token="[PAD]")).save(str(folder / "tokenizer" / "tokenizer.json"))
    random = np.random.default_rng(0)
    for split, batches in (("train", 8), ("validation", 1)):
        documents = batches * batch // DOCUMENT + 1
        with SplitWriter(folder / "tokens", split, vocabulary) as writer:
            ids = random.integers(2, vocabulary, documents * DOCUMENT)
            writer.write(ids, np.full(documents, DOCUMENT))


if __name__ == "__main__":
    sys.exit(main())
