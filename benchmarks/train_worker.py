"""One side of a training benchmark, in a process of its own: for each line on stdin, train once.

    python -m benchmarks.train_worker loop|trainer|fine_tune_loop|fine_tune_trainer JOB.json

JOB holds the paths of a job of `model_code.pretraining` or `model_code.fine_tuning`, a line its `config` and,
as `peer`, what only the Trainer is told. The answer is one line of JSON: a `TrainingMeasured`. The process
stays on one core: with one thread CPU-seconds hold no waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.train_run import TrainingMeasured, timed

if TYPE_CHECKING:
    from model_code.job import Job


def run_loop(job: Job, peer: dict[str, Any]) -> TrainingMeasured:
    """Pretrain with `model_code`."""
    from model_code.config.pretraining import PretrainConfig
    from model_code.pretraining import pretrain

    times, metrics = timed(pretrain, job)
    first, last = min(times), max(times)
    config = PretrainConfig(**job.values)
    tokens = (last - first) * config.batch_size * config.sequence_length
    return TrainingMeasured(tokens, times[last] - times[first], metrics["loss"])


def run_trainer(job: Job, peer: dict[str, Any]) -> TrainingMeasured:
    """Pretrain with the Hugging Face Trainer."""
    from benchmarks.train_peer import train

    return train(job, peer)


def fine_tune_loop(job: Job, peer: dict[str, Any]) -> TrainingMeasured:
    """Fine-tune with `model_code`."""
    from benchmarks.fine_tune_sides import run_loop

    return run_loop(job)


def fine_tune_trainer(job: Job, peer: dict[str, Any]) -> TrainingMeasured:
    """Fine-tune with the Hugging Face Trainer."""
    from benchmarks.fine_tune_sides import run_trainer

    return run_trainer(job, peer)


SIDES: dict[str, Callable[[Job, dict[str, Any]], TrainingMeasured]] = {
    side.__name__.removeprefix("run_"): side
    for side in (run_loop, run_trainer, fine_tune_loop, fine_tune_trainer)
}


def main(side: str, job_file: str) -> None:
    """Answer each line on stdin with one run."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print; the parent reads answers only
    with contextlib.suppress(AttributeError):  # elsewhere than on Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from model_code.job import Job

    paths = {
        name: Path(value) for name, value in json.loads(Path(job_file).read_text(encoding="utf-8")).items()
    }
    fixed = {"precision": "bfloat16", "checkpoint_every": 10**9}
    for line in sys.stdin:
        asked = json.loads(line)
        run = SIDES[side](Job(paths, fixed | asked["config"]), asked["peer"])
        print(json.dumps(asdict(run)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
