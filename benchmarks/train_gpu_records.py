"""What a run on a GPU has to show beside its speed: a resume that is exact, and how soon it learns.

Both train with `model_code.pretraining` alone, on the tokens and with the model that the job names.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.bench import BenchmarkError
from model_code.job import Job, Reporter
from model_code.pretraining import pretrain

EVERY = 5  # steps between two checkpoints of the run that is killed
KILLED_AT = 3 * EVERY  # by then the first checkpoint is whole
COMPARED = ("history.jsonl", "model/model.safetensors")


def resumes_exactly(job: Job, folder: Path) -> bool:
    """Whether a run that was killed and started again ends with the losses and weights of one that was not.

    Raises BenchmarkError when the run to be killed ended on its own.
    """
    every = {"steps": KILLED_AT + EVERY, "evaluate_every": EVERY, "checkpoint_every": EVERY}
    through, killed = (_in(folder / name, job, **every) for name in ("through", "killed"))
    process = multiprocessing.get_context("spawn").Process(target=_pretrain_until_killed, args=(killed,))
    process.start()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        raise BenchmarkError(f"train_gpu: the run to be killed ended with exit code {process.exitcode}")
    if not list(killed.paths["scratch"].glob("step-*")):
        raise BenchmarkError("train_gpu: the killed run left no checkpoint to go on from")
    for one in (through, killed):
        pretrain(one, Reporter(io.StringIO()))
    outputs = through.paths["output"], killed.paths["output"]
    return all(len({(output / name).read_bytes() for output in outputs}) == 1 for name in COMPARED)


def seconds_to_loss(job: Job, folder: Path, loss: float, every: int) -> tuple[float, int] | None:
    """Wall time and steps until held-out loss is at most `loss`, or None; it is measured every so many steps.

    The time has all in it: building and compiling the model, evaluations, checkpoints.
    """
    started = time.perf_counter()
    try:
        pretrain(_in(folder / "learning", job, evaluate_every=every), _Until(loss))
    except _Reached as reached:
        return time.perf_counter() - started, reached.step
    return None


class _Reached(Exception):
    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class _Until(Reporter):
    def __init__(self, loss: float) -> None:
        super().__init__(io.StringIO())
        self._loss = loss

    def event(self, kind: str, **values: Any) -> None:
        if kind == "evaluation" and values["loss"] <= self._loss:
            raise _Reached(values["step"])


class _Killed(Reporter):
    def event(self, kind: str, **values: Any) -> None:
        if kind == "evaluation" and values["step"] == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)


def _pretrain_until_killed(job: Job) -> None:
    pretrain(job, _Killed(io.StringIO()))


def _in(folder: Path, job: Job, **values: Any) -> Job:
    """The same job with other values, output and checkpoints in a folder of its own."""
    own = {name: folder / name for name in ("output", "scratch")}
    for path in own.values():
        path.mkdir(parents=True)
    return Job(job.paths | own, job.values | values)
