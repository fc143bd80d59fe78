"""One training of a benchmark: what is measured of it."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_code.job import Job, Reporter


@dataclass(frozen=True)
class TrainingMeasured:
    """Tokens of text and CPU-seconds from the end of the first step to the end of the last.

    `loss` is that on held-out text, in nats per guessed token, where it was asked for; `accuracy` that on
    test examples, where there are any.
    """

    tokens: int
    cpu_seconds: float
    loss: float | None = None
    accuracy: float | None = None

    @property
    def speed(self) -> float:
        """Tokens per CPU-second."""
        return self.tokens / self.cpu_seconds


def timed(
    train: Callable[[Job, Reporter], dict[str, Any]], job: Job
) -> tuple[dict[int, float], dict[str, Any]]:
    """Train from the start; CPU-seconds of the process at the end of some steps, and the metrics."""
    from model_code.job import Reporter

    times: dict[int, float] = {}

    class Clock(Reporter):
        def event(self, kind: str, **values: Any) -> None:
            if kind == "progress":
                times[values["step"]] = time.process_time()

    for folder in ("scratch", "output"):  # a checkpoint would be continued
        shutil.rmtree(job.paths[folder], ignore_errors=True)
        job.paths[folder].mkdir()
    metrics = train(job, Clock(io.StringIO()))
    return times, metrics
