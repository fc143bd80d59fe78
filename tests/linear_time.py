"""Whether something's time grows with the size of its input, and no faster, on a machine of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIALS = 3  # the best counts: others may be disturbed
NOTHING = 0.02  # seconds; below it a clock measures mostly itself


def takes_linear_time(run: Callable[[int], object], size: int) -> bool:
    """Whether a run of this size takes less than ten times as long as one of a quarter: quadratic is 16."""
    short = max(NOTHING, min(_seconds(run, size // 4) for _ in range(TRIALS)))
    return any(_seconds(run, size) < 10 * short for _ in range(TRIALS))


def _seconds(run: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    run(size)
    return time.process_time() - started
