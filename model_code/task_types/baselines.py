"""How the baselines, which each task type makes in its `baselines()`, are tried one by one.

What one of them can't do takes nothing from the others, nor ends a run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NotAvailable:
    """In the place of a baseline's predictions: why there are none."""

    reason: str


Baselines = dict[str, Any]
"""By name, the most trivial one first: what a baseline predicts of each example, or NotAvailable."""


def attempted(baselines: Mapping[str, Callable[[], Sequence[Any]]]) -> Baselines:
    """What each of them predicts."""
    return {name: attempt(predict) for name, predict in baselines.items()}


def attempt(work: Callable[[], Any]) -> Any:
    """What `work` returns, or NotAvailable with what it says of its failure."""
    try:
        with warnings.catch_warnings(action="ignore"):  # they are about a model that nobody keeps
            return work()
    except Exception as error:  # the libraries of baselines raise what they like
        said = " ".join(str(error).split()) or type(error).__name__
        return NotAvailable(said.rstrip("."))
