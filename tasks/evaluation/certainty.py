"""How certain the gate has to be, and what a number of test examples can show at all."""

from __future__ import annotations

import math

LEVEL = 0.95  # of the intervals that are shown
# Of the interval that the gate decides by: of a hundred versions that are just as much worse as is not
# allowed, one passes at most (half of it is expected, and the other end of the interval has the other half).
SURE = 0.99
CERTAINTY = (1 + SURE) / 2
POWER = 0.8  # how often a difference has to be found for a test set to count as able to show it


def deviations() -> float:
    """How many standard errors a difference has to be away from a limit to be found as often as POWER."""
    from scipy.stats import norm

    return float(norm.ppf(CERTAINTY) + norm.ppf(POWER))


def may_be_missed(groups: int) -> float:
    """The largest share of cases of which so many independent examples may well hold none.

    Of ten thousand cases one in fifty may go wrong and a hundred examples show nothing of it: what no example
    shows is no evidence that it does not happen.
    """
    return float(1 - (1 - CERTAINTY) ** (1 / groups))


def smallest_difference(error: float, groups: int, scale: float) -> float:
    """The smallest true difference that a test set would have shown, from the standard error of one."""
    return math.hypot(deviations() * error, scale * may_be_missed(groups))


def examples_needed(error: float, groups: int, distance: float, scale: float) -> int:
    """How many examples show a difference that is `distance` away from a limit, going by the error of these.

    So many that `smallest_difference` comes down to the distance: its first part falls with the root of their
    number, its second one with their number. `distance` is more than 0.
    """
    spread = groups * (deviations() * error) ** 2
    missed = (scale * math.log(1 - CERTAINTY)) ** 2
    return math.ceil((spread + math.sqrt(spread**2 + 4 * missed * distance**2)) / (2 * distance**2))
