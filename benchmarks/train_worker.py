"""One side of a training benchmark, in a process of its own: for each line on stdin, train once.

    python -m benchmarks.train_worker loop|trainer JOB.json

JOB holds the paths of a job of `model_code.pretrain`, a line its `config` and, as `peer`, what only the
Trainer is told. The answer is one line of JSON: a `Run`. The process stays on one core: with one thread
CPU-seconds hold no waiting.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_code.job import Job


@dataclass(frozen=True)
class Run:
    """Tokens of text and CPU-seconds from the end of the first step to the end of the last.

    `loss` is that on held-out text, in nats per guessed token, where it was asked for.
    """

    tokens: int
    cpu_seconds: float
    loss: float | None = None

    @property
    def speed(self) -> float:
        """Tokens per CPU-second."""
        return self.tokens / self.cpu_seconds


def run_loop(job: Job, peer: dict[str, Any]) -> Run:
    """Pretrain with `model_code`."""
    from model_code.job import Reporter
    from model_code.pretrain import PretrainConfig, pretrain

    class Clock(Reporter):
        times: dict[int, float]

        def event(self, kind: str, **values: Any) -> None:
            if kind == "progress":
                self.times[values["step"]] = time.process_time()

    for folder in ("scratch", "output"):  # a checkpoint would be continued
        shutil.rmtree(job.paths[folder], ignore_errors=True)
        job.paths[folder].mkdir()
    clock = Clock(io.StringIO())
    clock.times = {}
    metrics = pretrain(job, clock)
    first, last = min(clock.times), max(clock.times)
    config = PretrainConfig(**job.values)
    tokens = (last - first) * config.batch_size * config.sequence_length
    return Run(tokens, clock.times[last] - clock.times[first], metrics["loss"])


def run_trainer(job: Job, peer: dict[str, Any]) -> Run:
    """Pretrain with the Hugging Face Trainer."""
    from benchmarks.train_peer import train

    return train(job, peer)


SIDES: dict[str, Callable[[Job, dict[str, Any]], Run]] = {"loop": run_loop, "trainer": run_trainer}


def main(side: str, job_file: str) -> None:
    """Answer each line on stdin with one run."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print; the parent reads answers only
    with contextlib.suppress(AttributeError):  # elsewhere than on Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from model_code.job import Job

    paths = {name: Path(value) for name, value in json.loads(Path(job_file).read_text()).items()}
    fixed = {"precision": "bfloat16", "checkpoint_every": 10**9}
    for line in sys.stdin:
        asked = json.loads(line)
        run = SIDES[side](Job(paths, fixed | asked["config"]), asked["peer"])
        print(json.dumps(asdict(run)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
