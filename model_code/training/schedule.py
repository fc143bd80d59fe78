"""Learning-rate schedules as pure functions of the step: a factor in [0, 1] on the peak rate.

`step` is 0-based. Each warms up linearly over the first `warmup` of the steps, ends near `final` times the
peak, and moves the weights in its last step even where `final` is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from model_code.errors import TrainingError


class Schedule(Protocol):
    """The factor of a step of `total`; `decay` is the share of steps with a falling rate, where it counts."""

    def __call__(
        self, step: int, total: int, warmup: float, decay: float = 1.0, final: float = 0.0
    ) -> float: ...


def warmup_stable_decay(
    step: int, total: int, warmup: float, decay: float = 1.0, final: float = 0.0
) -> float:
    """Constant between the warm-up and a linear decay over the last `decay` of the steps.

    Hägele et al. 2024 (arXiv 2405.18392).
    """
    decay_steps = max(1, round(decay * total))
    falling = final + (1 - final) * (total - step) / decay_steps
    return min(1.0, (step + 1) / _warmup_steps(total, warmup), falling)


def cosine(step: int, total: int, warmup: float, decay: float = 1.0, final: float = 0.0) -> float:
    """Half a cosine from the end of the warm-up on (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    steps = _warmup_steps(total, warmup)
    if step < steps:
        return (step + 1) / steps
    progress = (step + 1 - steps) / (total + 1 - steps)
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def linear(step: int, total: int, warmup: float, decay: float = 1.0, final: float = 0.0) -> float:
    """Down from the end of the warm-up to the last step, usual for fine-tuning."""
    return warmup_stable_decay(step, total, warmup, 1 - warmup, final)


def _warmup_steps(total: int, warmup: float) -> int:
    return max(1, round(warmup * total))


SCHEDULES: Mapping[str, Schedule] = {
    "warmup_stable_decay": warmup_stable_decay,
    "cosine": cosine,
    "linear": linear,
}


def schedule_named(name: str) -> Schedule:
    """The schedule of this name. Raises TrainingError when there is none."""
    if name not in SCHEDULES:
        raise TrainingError(f"schedule {name!r} is not known; choose one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name]
