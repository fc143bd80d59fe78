"""What a test set says about a figure and about the difference of two models: the paired bootstrap.

The test examples are drawn anew many times, as many as there are and with replacement, and all models are
measured on each such sample; the middle 95 % of the differences are the interval (Efron & Tibshirani 1993,
An Introduction to the Bootstrap, chapter 13; for paired models Koehn 2004, aclanthology.org/W04-3250). It is
widened as Student's t is wider than the normal distribution (the expanded percentile interval: Hesterberg
2015, The American Statistician 69): without, few examples would look surer than they are. Examples of one
group, such as the questions about one article, are drawn together: they tend to be right together.

Where an answer is right or wrong and nothing else, the difference is counted instead: `paired_outcomes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tasks.evaluation.certainty import LEVEL, SURE, may_be_missed, smallest_difference
from tasks.evaluation.paired_outcomes import Outcomes, wilson

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.bootstrap_metrics import Resampled, Sums
    from model_code.task_types.task import Settings, TaskType

SAMPLES, SEED = 10_000, 0
SAMPLES_MEASURED = 2000  # of a task type whose figures are computed from the examples each time
# So many are drawn by themselves or in their groups; of more, as many bundles of random ones, by which the
# interval gets 1 % wider or narrower, as it does by the number of samples.
MOST_UNITS = 4000
AT_ONCE = 2**22  # counts that are in memory together
DIGITS = 9  # that are kept: further ones depend on how many threads have added up
OWN = "model"

AnswersByModel = Mapping[str, Sequence[Any]]
"""What each of several models says of the same examples, the judged one under the name OWN."""


class Evidence(NamedTuple):
    """The interval of every model's METRIC, and how far OWN lies above each of the others."""

    intervals: dict[str, dict[str, float]]
    comparisons: dict[str, dict[str, Any]]


def measured(
    task: TaskType, examples: Sequence[Mapping[str, Any]], said: AnswersByModel, settings: Settings
) -> Evidence:
    """What the examples say of the task's METRIC: equal arguments give equal numbers.

    An interval is from `low` to `high` around its `value`. A comparison has the `difference`, its interval,
    its 99 % interval from `above` to `below`, the standard `error`, the `smallest` difference
    that these examples could have shown, the numbers of `examples` and of `groups` of them, and `by` which
    method; of outcomes also how many were `won` and `lost` and McNemar's `p`.
    """
    figures = {name: _figure(task, examples, of_model, settings) for name, of_model in said.items()}
    groups, scale = groups_of(examples), float(getattr(task, "SCALE", 1))
    count = int(groups.max()) + 1
    once = np.ones((1, len(examples)))
    values = {name: float(figure(once)[0]) for name, figure in figures.items()}
    outcomes = _outcomes(figures) if count == len(examples) else {}
    drawn = {} if outcomes.keys() == figures.keys() else _drawn(figures, groups)
    intervals, comparisons = {}, {}
    for name, value in values.items():
        if name in outcomes:
            low, high = wilson(int(outcomes[name].sum()), count, LEVEL)
        else:
            low, high = quantiles(drawn[name], LEVEL, count)
        intervals[name] = _rounded({"value": value, "low": low, "high": high})
        if name == OWN:
            continue
        if {OWN, name} <= outcomes.keys():
            found = _of_outcomes(outcomes[OWN], outcomes[name])
        else:
            found = _of_samples(values[OWN] - value, drawn[OWN] - drawn[name], count, scale)
        smallest = smallest_difference(found["error"], count, scale)
        sizes = {"examples": len(examples), "groups": count, "scale": scale}
        comparisons[name] = _rounded({**found, "smallest": smallest, **sizes})
    return Evidence(intervals, comparisons)


def _outcomes(figures: Mapping[str, Resampled]) -> dict[str, np.ndarray]:
    """Whether each example is right, of every model whose figure is the share of those that are."""
    found = {name: getattr(figure, "outcomes", None) for name, figure in figures.items()}
    return {name: right for name, right in found.items() if right is not None}


def _of_outcomes(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    found = Outcomes(len(ours), int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
    low, high = found.interval(LEVEL)
    above, below = found.interval(SURE)
    figures = {"difference": found.difference, "low": low, "high": high, "above": above, "below": below}
    method = "McNemar's test, exact" if found.is_exact else "McNemar's test"
    counted = {"won": found.won, "lost": found.lost, "p": found.p_value()}
    return {**figures, "error": found.error, **counted, "by": method}


def _of_samples(difference: float, drawn: np.ndarray, groups: int, scale: float) -> dict[str, Any]:
    """From the differences in all samples.

    The 99 % interval, by which the gate decides, is at least as wide as that by the standard error, since
    what is drawn lies off to one side where labels are rare. What no example shows may still be there, and is
    added as a second error: rare losses that these examples hold too few of make the first one too small.
    """
    from scipy.stats import t

    low, high = quantiles(drawn, LEVEL, groups)
    above, below = quantiles(drawn, SURE, groups)
    error = float(drawn.std())
    by_error = error * float(t.ppf((1 + SURE) / 2, groups - 1)) if groups > 1 else 0.0
    least = math.hypot(by_error, scale * may_be_missed(groups))
    above, below = min(above, difference - least), max(below, difference + least)
    figures = {"difference": difference, "low": low, "high": high, "above": above, "below": below}
    return {**figures, "error": error, "by": "paired bootstrap"}


def quantiles(drawn: np.ndarray, level: float, groups: int) -> tuple[float, float]:
    """The ends of the middle `level` of what was drawn, wider the fewer groups there are."""
    from scipy.stats import norm, t

    if groups < 2:
        return float(drawn.min()), float(drawn.max())
    tail = (1 - level) / 2
    tail = float(norm.cdf(math.sqrt(groups / (groups - 1)) * t.ppf(tail, groups - 1)))
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    return low, high


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(v, DIGITS) if isinstance(v, float) else v for name, v in found.items()}


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


def _drawn(figures: Mapping[str, Resampled], groups: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure of the same samples, [samples]."""
    from model_code.task_types.bootstrap_metrics import Sums

    units = bundles_of(groups)
    bundled: dict[str, Resampled | Sums] = {
        name: figure.bundled(units) if isinstance(figure, Sums) else figure
        for name, figure in figures.items()
    }
    slow = any(isinstance(figure, _MeasuredAgain) for figure in figures.values())
    values: dict[str, list[np.ndarray]] = {name: [] for name in figures}
    for counts in bootstrap_counts(int(units.max()) + 1, SAMPLES_MEASURED if slow else SAMPLES):
        of_examples = None
        for name, figure in bundled.items():
            if isinstance(figure, Sums):
                values[name].append(figure(counts))
            else:
                of_examples = counts[:, units] if of_examples is None else of_examples
                values[name].append(figure(of_examples))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def bundles_of(groups: np.ndarray) -> np.ndarray:
    """The number, from 0, of the unit in which each example is drawn: its group, or a bundle of groups."""
    count = int(groups.max()) + 1
    if count <= MOST_UNITS:
        return groups
    bundles: np.ndarray = (np.random.default_rng(SEED).permutation(count) % MOST_UNITS)[groups]
    return bundles


def bootstrap_counts(units: int, samples: int) -> Iterator[np.ndarray]:
    """How often each unit occurs in samples of them, [some samples, units], always the same."""
    random = np.random.default_rng(SEED)
    step = max(1, AT_ONCE // units)
    for start in range(0, samples, step):
        size = min(step, samples - start)
        drawn = random.integers(units, size=(size, units))
        drawn += units * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


class _MeasuredAgain:
    """The METRIC of a task type without `resampled`: its metrics of each sample."""

    def __init__(
        self, task: TaskType, examples: Sequence[Any], said: Sequence[Any], settings: Settings
    ) -> None:
        self.task, self.examples, self.said, self.settings = task, examples, said, settings

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        values = []
        for times in counts.astype(int):
            drawn = np.repeat(np.arange(len(self.examples)), times).tolist()
            examples, said = [self.examples[i] for i in drawn], [self.said[i] for i in drawn]
            values.append(self.task.metrics(examples, said, self.settings)[self.task.METRIC])
        return np.array(values)


def _figure(task: TaskType, examples: Sequence[Any], said: Sequence[Any], settings: Settings) -> Resampled:
    if hasattr(task, "resampled"):
        resampled: Resampled = task.resampled(examples, said, settings)
        return resampled
    return _MeasuredAgain(task, examples, said, settings)
