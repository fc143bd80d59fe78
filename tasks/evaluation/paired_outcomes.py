"""Two models on the same examples, of each of which an answer is right or wrong: McNemar's question.

Only the examples count that one of the two gets right and the other wrong. From 25 such on the intervals are
of Tango's score test (Statistics in Medicine 17, 1998), which is McNemar's (Psychometrika 12, 1947) where the
difference in question is 0; with fewer they are exact, by Clopper and Pearson: how many of the examples the
two disagree on, and how many of those the first one wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

ENOUGH = 25  # disagreements for an approximation by the normal distribution


class Outcomes(NamedTuple):
    """How often both were asked, and how often only the first and only the second was right."""

    examples: int
    won: int
    lost: int

    @property
    def difference(self) -> float:
        """By what share more examples the first one gets right."""
        return (self.won - self.lost) / self.examples

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        apart = self.won + self.lost
        return math.sqrt(apart - (self.won - self.lost) ** 2 / self.examples) / self.examples

    @property
    def is_exact(self) -> bool:
        """Whether they disagree too rarely for an approximation."""
        return self.won + self.lost < ENOUGH

    def p_value(self) -> float:
        """McNemar's: how often two equally good models would differ as much (two-sided)."""
        from scipy.stats import binomtest, norm

        apart = self.won + self.lost
        if self.is_exact:
            return float(binomtest(self.won, apart).pvalue) if apart else 1.0
        return float(2 * norm.sf(abs(self.won - self.lost) / math.sqrt(apart)))

    def interval(self, level: float) -> tuple[float, float]:
        """The middle `level` of what the true difference may be."""
        tail = (1 - level) / 2
        low_of = _exact_low if self.is_exact else _score_low
        swapped = Outcomes(self.examples, self.lost, self.won)
        return low_of(self, tail), -low_of(swapped, tail)


def _exact_low(outcomes: Outcomes, tail: float) -> float:
    """Half of the tail for the share that the first one wins, half for how often the two disagree."""
    apart = outcomes.won + outcomes.lost
    share_won = _proportion(outcomes.won, apart, tail / 2)[0]
    least, most = _proportion(apart, outcomes.examples, tail / 2)
    balance = 2 * share_won - 1
    return balance * (most if balance < 0 else least)


def _proportion(count: int, total: int, tail: float) -> tuple[float, float]:
    """Clopper's and Pearson's bounds of a share, each with the tail beyond it."""
    from scipy.stats import beta

    low = float(beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def _score_low(outcomes: Outcomes, tail: float) -> float:
    from scipy.optimize import brentq
    from scipy.stats import norm

    limit = float(norm.isf(tail))
    apart: Callable[[float], float] = lambda difference: _score(outcomes, difference) - limit  # noqa: E731
    return float(brentq(apart, -1 + 1e-9, outcomes.difference, xtol=1e-12))


def _score(outcomes: Outcomes, difference: float) -> float:
    """How many standard errors lie between what was found and a true difference.

    `losing` is the likeliest probability that only the second one is right, given that difference: the root
    of the derivative of the likelihood.
    """
    n, won, lost = outcomes
    a, b = 2 * n, (2 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    losing = (math.sqrt(max(b * b - 4 * a * c, 0)) - b) / (2 * a)
    variance = n * (2 * losing + difference * (1 - difference))
    return (won - lost - n * difference) / math.sqrt(max(variance, 1e-12))


def wilson(right: int, examples: int, level: float) -> tuple[float, float]:
    """The interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest

    found = binomtest(right, examples).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)
