"""How good a model is on parts of the test examples: short and long ones, those of each label.

A figure of few examples says little, so each stands with its 95 % interval, and parts of fewer than TINY
examples are marked. They are reported and never judged: of twenty parts one is bad by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.evaluation.certainty import LEVEL
from tasks.evaluation.paired_bootstrap import DIGITS, bootstrap_counts, bundles_of, groups_of, quantiles
from tasks.evaluation.paired_outcomes import wilson

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.bootstrap_metrics import Resampled
    from model_code.task_types.task import Settings, TaskType

TINY = 30
SAMPLES = 2000
PARTS = 4  # by length
RIGHT = "right answers"
HEADER = ("by", "part", "test examples", "figure", "value", "95 % interval")


def slices(
    task: TaskType, test: Sequence[Mapping[str, Any]], said: Sequence[Any], settings: Settings
) -> list[dict[str, Any]]:
    """The figure of each part: of tasks that choose labels the share of right answers, else the METRIC.

    `by` what the examples are divided, which `part` it is, the number of `examples`, the `figure`, its
    `value` and interval from `low` to `high`, and whether it is `tiny`. Empty for a task type of one's own
    that can't be resampled.
    """
    found = _figure(task, test, said, settings)
    if found is None:
        return []
    name, figure = found
    groups = groups_of(test)
    return [
        {"by": by, "part": part, "examples": len(where), "figure": name}
        | _measured(figure, groups, where)
        | {"tiny": len(where) < TINY}
        for by, part, where in (*_by_length(task, test), *_by_label(task, test))
    ]


def slice_rows(parts: Sequence[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """The parts as rows of a table."""
    return [
        (
            *(part[name] for name in ("by", "part", "examples", "figure", "value")),
            f"{part['low']:.4g} to {part['high']:.4g}" + (", too few to say much" if part["tiny"] else ""),
        )
        for part in parts
    ]


def _figure(
    task: TaskType, test: Sequence[Mapping[str, Any]], said: Sequence[Any], settings: Settings
) -> tuple[str, Resampled] | None:
    from model_code.task_types.bootstrap_metrics import mean

    for name, field in task.FIELDS.items():
        if field.target and field.kind == "label":
            right = [example[name] == label for example, label in zip(test, said, strict=True)]
            return RIGHT, mean(np.array(right, np.float64))
        if field.target and field.kind == "labels":
            sets = [(set(example[name]), set(one["labels"])) for example, one in zip(test, said, strict=True)]
            return RIGHT, mean(np.array([true == found for true, found in sets], np.float64))
    return (task.METRIC, task.resampled(test, said, settings)) if hasattr(task, "resampled") else None


def _by_length(task: TaskType, test: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Quarters of the examples, the shortest first; fewer where many are equally long."""
    inputs = [name for name, field in task.FIELDS.items() if not field.target]
    lengths = np.array([sum(_characters(example.get(name)) for name in inputs) for example in test])
    borders = np.unique(np.quantile(lengths, np.arange(1, PARTS) / PARTS, method="lower"))
    which = np.searchsorted(borders, lengths)  # a border belongs to the shorter ones
    for part in np.unique(which):
        where = np.flatnonzero(which == part)
        least, most = int(lengths[where].min()), int(lengths[where].max())
        yield "length", f"{least:,} to {most:,} characters", where


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 0


def _by_label(task: TaskType, test: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, np.ndarray]]:
    for name, field in task.FIELDS.items():
        if field.target and field.kind == "label":
            truth = np.array([example[name] for example in test])
            for label in np.unique(truth):
                yield "label", str(label), np.flatnonzero(truth == label)


def _measured(figure: Resampled, groups: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """The value of a part and its interval, Wilson's where answers are right or wrong and stand alone."""
    from model_code.task_types.bootstrap_metrics import Sums

    _, groups_here = np.unique(groups[where], return_inverse=True)
    count = int(groups_here.max()) + 1
    part: Callable[[np.ndarray], np.ndarray] = _within(figure, len(groups), where)
    if isinstance(figure, Sums):
        part = own = type(figure)(figure.rows[where], figure.figure)
        if count == len(where) and (right := own.outcomes) is not None:
            low, high = wilson(int(right.sum()), count, LEVEL)
            return _rounded(float(right.mean()), low, high)
    units = bundles_of(groups_here)
    drawn = [part(counts[:, units]) for counts in bootstrap_counts(int(units.max()) + 1, SAMPLES)]
    return _rounded(float(part(np.ones((1, len(where))))[0]), *quantiles(np.concatenate(drawn), LEVEL, count))


def _within(figure: Resampled, total: int, where: np.ndarray) -> Resampled:
    """The figure of all examples, of which only those of a part occur."""

    def of_part(counts: np.ndarray) -> np.ndarray:
        everywhere = np.zeros((len(counts), total))
        everywhere[:, where] = counts
        return figure(everywhere)

    return of_part


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {name: round(v, DIGITS) for name, v in (("value", value), ("low", low), ("high", high))}
