"""What a test set says about the difference of two models: the paired bootstrap.

The test examples are drawn anew many times, as many as there are and with replacement, and both models are
measured on each such sample; the middle 95 % of the differences are the interval (Efron & Tibshirani 1993,
An Introduction to the Bootstrap, chapter 13; for paired models Koehn 2004, aclanthology.org/W04-3250).
Examples of one group, such as the questions about one article, are drawn together: they tend to be right
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.bootstrap_metrics import Resampled
    from model_code.task_types.task import Settings, TaskType

SAMPLES, LEVEL, SEED = 2000, 0.95, 0
AT_ONCE = 2**22  # counts that are in memory together


def compared(
    task: TaskType,
    examples: Sequence[Mapping[str, Any]],
    model: Sequence[Any],
    others: Mapping[str, Sequence[Any]],
    settings: Settings,
) -> dict[str, dict[str, float]]:
    """How far the model lies above each of the others in the task's METRIC.

    The `difference`, its interval from `low` to `high`, and the number of `examples` and of `groups` of them.
    """
    figures = {name: _figure(task, examples, said, settings) for name, said in others.items()}
    own = _figure(task, examples, model, settings)
    groups = groups_of(examples)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in figures}
    for counts in bootstrap_counts(groups):
        ours = own(counts)
        for name, figure in figures.items():
            drawn[name].append(ours - figure(counts))
    once = np.ones((1, len(examples)))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    intervals = {}
    for name, differences in drawn.items():
        low, high = np.quantile(np.concatenate(differences), tails).tolist()
        difference = float((own(once) - figures[name](once))[0])
        intervals[name] = {"difference": difference, "low": low, "high": high}
        intervals[name] |= {"examples": len(examples), "groups": int(groups.max()) + 1}
    return intervals


def groups_of(examples: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The number, from 0, of each example's `group`.

    One without is a group by itself, as is each of a set that is a single group.
    """
    named = [example.get("group") for example in examples]
    if len(set(named)) == 1:
        return np.arange(len(examples))
    numbers: dict[Any, int] = {}
    keys = [place if group is None else (group,) for place, group in enumerate(named)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def bootstrap_counts(groups: np.ndarray) -> Iterator[np.ndarray]:
    """How often each example occurs in samples of the groups, [some samples, examples], always the same."""
    random, count = np.random.default_rng(SEED), int(groups.max()) + 1
    step = max(1, AT_ONCE // len(groups))
    for start in range(0, SAMPLES, step):
        size = min(step, SAMPLES - start)
        drawn = random.integers(count, size=(size, count))
        times = np.zeros((size, count))
        np.add.at(times, (np.arange(size)[:, None], drawn), 1)
        yield times[:, groups]


def _figure(task: TaskType, examples: Sequence[Any], said: Sequence[Any], settings: Settings) -> Resampled:
    """The task's METRIC of samples; a task type without `resampled` is asked for its metrics of each."""
    if hasattr(task, "resampled"):
        resampled: Resampled = task.resampled(examples, said, settings)
        return resampled

    def figure(counts: np.ndarray) -> np.ndarray:
        values = []
        for times in counts.astype(int):
            drawn = np.repeat(np.arange(len(examples)), times).tolist()
            figures = task.metrics([examples[i] for i in drawn], [said[i] for i in drawn], settings)
            values.append(figures[task.METRIC])
        return np.array(values)

    return figure
