"""Steps that would harm the model: found, passed over, and answered by going back when they come in a row.

A step is in trouble when its loss or its gradient norm is not a finite number, or when its loss lies six
standard deviations above those of the last healthy steps, as in OLMo-core's SkipStepAdamW (Allen Institute
for AI). Here the deviation is estimated from medians, which spikes don't move, and a loss less than half a
nat too high is that of a hard batch. In a young run, whose losses still fall, twice the first is too much.
Such a step leaves weights and optimizer as they were. After several in a row the run goes back to its last
checkpoint and on with other data, as PaLM's did (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1), at
half the rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

WINDOW = 128  # healthy steps that a loss is compared with
FEWEST = 64  # before so many they say nothing of the deviation
DEVIATIONS = 6.0
NATS = 0.5
IN_A_ROW = 5
REWINDS = 3
NORMAL = 1.4826  # standard deviation of normal numbers by their median absolute deviation


@dataclass
class Guard:
    """The losses of the last healthy steps, and what trouble there was.

    `rate` is the factor on the learning rate that is left, `passed_over` the number of batches by which the
    data is ahead of the steps. Without `spikes` only numbers that are not finite are trouble.
    """

    spikes: bool = True
    losses: list[float] = field(default_factory=list)
    in_a_row: int = 0
    rewinds: int = 0
    rate: float = 1.0
    passed_over: int = 0

    def trouble(self, loss: float, gradient_norm: float) -> str | None:
        """Judge a step before it moves the weights: what is wrong with it, or None, and remember it."""
        found = self._not_finite(loss, gradient_norm) or (self._spike(loss) if self.spikes else None)
        if found is None:
            self.losses = [*self.losses[1 - WINDOW :], loss]
        self.in_a_row = self.in_a_row + 1 if found else 0
        return found

    @property
    def must_rewind(self) -> bool:
        """Whether passing over single steps has not helped."""
        return self.in_a_row >= IN_A_ROW

    @property
    def must_stop(self) -> bool:
        """Whether there is nothing good to go on from, or going back has not helped either."""
        return not self.losses or (self.must_rewind and self.rewinds >= REWINDS)

    def rewound(self, then: Mapping[str, Any], steps: int) -> Guard:
        """The guard after going back by `steps` to a checkpoint that holds the state `then`.

        The data read since is not read again.
        """
        return replace(
            Guard(**then),
            in_a_row=0,
            rewinds=self.rewinds + 1,
            rate=self.rate / 2,
            passed_over=self.passed_over + steps,
        )

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint; `Guard(**state)` is the same again."""
        return asdict(self)

    @staticmethod
    def _not_finite(loss: float, gradient_norm: float) -> str | None:
        for what, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if not math.isfinite(value):
                return f"the {what} is {value}"
        return None

    def _spike(self, loss: float) -> str | None:
        if len(self.losses) < FEWEST:
            first = self.losses[0] if self.losses else math.inf
            return f"the loss rises to {loss:.3g} from {first:.3g}" if loss > 2 * first + NATS else None
        usual = median(self.losses)
        deviation = NORMAL * median(abs(value - usual) for value in self.losses)
        if loss <= usual + max(NATS, DEVIATIONS * deviation):
            return None
        return f"the loss leaps to {loss:.3g} from {usual:.3g}"
