"""One demand on a model, and what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Demand(NamedTuple):
    """What is demanded of what, in words; the actual value (None: it is not known); whether that will do.

    Args:
        low, high: the 95 % interval of the actual value, where there is one.
        smallest: the smallest difference that these test examples could have shown.
        needs: where they can't tell whether the demand is met, how many more examples could.
        says: what a person should know besides.
    """

    name: str
    demand: str
    actual: float | None
    passed: bool
    low: float | None = None
    high: float | None = None
    smallest: float | None = None
    needs: int | None = None
    says: str = ""


GateRule = Callable[[Mapping[str, Any], Any], Iterator[Demand]]
"""From what `evaluate` measured and the recipe's `evaluate` section to demands; none where it has no say."""


def at_least(name: str, actual: float, lowest: float) -> Demand:
    """A figure that has to reach a value."""
    return Demand(name, f"at least {lowest:.4g}", actual, actual >= lowest)
