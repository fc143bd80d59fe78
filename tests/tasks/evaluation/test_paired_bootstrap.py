"""The paired bootstrap: intervals that hold what they should, and that know of groups."""

import math
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_code.task_types.task import Settings, task_named
from tasks.evaluation.paired_bootstrap import bootstrap_counts, bundles_of, groups_of, measured

SETTINGS = Settings("classification", ("a", "b"))
TASK = task_named("classification")


def labelled(count: int, seed: int, accuracy: float) -> tuple[list[dict[str, Any]], list[str]]:
    rng = random.Random(seed)
    examples = [{"id": f"{n}", "label": rng.choice("ab")} for n in range(count)]
    said = [e["label"] if rng.random() < accuracy else "ba"["ab".index(e["label"])] for e in examples]
    return examples, said


def compared(
    task: Any, examples: list[dict[str, Any]], said: list[Any], other: list[Any], settings: Settings
) -> dict[str, Any]:
    return measured(task, examples, {"model": said, "other": other}, settings).comparisons["other"]


def found(examples: list[dict[str, Any]], said: list[str], other: list[str]) -> dict[str, Any]:
    return compared(TASK, examples, said, other, SETTINGS)


def test_a_model_is_not_clearly_better_than_itself_nor_surely_the_same() -> None:
    examples, said = labelled(100, 1, 0.8)
    missed = 0.05160403  # what happens so often shows in 100 examples in 199 of 200 cases
    assert found(examples, said, said) == {
        **{"difference": 0, "low": 0, "high": 0, "error": 0, "examples": 100, "groups": 100, "scale": 1},
        **{"above": -missed, "below": missed, "smallest": missed, "by": "paired bootstrap"},
    }


def test_the_difference_is_that_of_the_metric_and_always_the_same() -> None:
    examples, said = labelled(200, 2, 0.9)
    other = ["a"] * 200
    one, again = (found(examples, said, other) for _ in range(2))
    figures = [TASK.metrics(examples, every, SETTINGS)["f1_macro"] for every in (said, other)]
    assert one == again
    assert one["difference"] == pytest.approx(figures[0] - figures[1])
    assert one["low"] < one["difference"] < one["high"]


def test_the_interval_is_as_wide_as_the_error_of_a_mean() -> None:
    task, rng = task_named("question_answering"), np.random.default_rng(3)
    right = rng.random(400) < 0.6
    examples = [{"answers": [{"text": "yes", "start": 0}]}] * 400
    said = [{"text": "yes" if hit else "no", "start": 0} for hit in right]
    nothing = [{"text": "no", "start": 0}] * 400
    interval = compared(task, examples, said, nothing, Settings("question_answering"))
    error = right.std() / math.sqrt(400)
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    task, settings = task_named("question_answering"), Settings("question_answering")
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        examples = [{"answers": [{"text": "yes", "start": 0}]}] * 150
        one, other = (
            [{"text": "yes" if hit else "no", "start": 0} for hit in rng.random(150) < share]
            for share in (0.7, 0.6)
        )
        interval = compared(task, examples, one, other, settings)
        held += interval["low"] <= 0.1 <= interval["high"]
    assert held >= 53  # of 57 expected


def test_examples_of_one_group_are_drawn_together() -> None:
    assert groups_of([{"group": "x"}, {"group": "y"}, {"group": "x"}, {}]).tolist() == [0, 1, 0, 2]
    assert groups_of([{"group": "x"}] * 3).tolist() == [0, 1, 2]
    examples, said = labelled(200, 4, 0.7)
    # The same 20 examples ten times over are no more evidence than the 20 are.
    repeated = [example | {"group": example["id"]} for example in examples[:20]] * 10
    alone, together = (
        found(given, said[:20] * 10, ["a"] * 200)
        for given in ([{"label": e["label"]} for e in repeated], repeated)
    )
    assert together["groups"] == 20
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])


def test_a_task_type_without_resampling_is_measured_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("SAMPLES", "SAMPLES_MEASURED"):
        monkeypatch.setattr(f"tasks.evaluation.paired_bootstrap.{number}", 50)
    examples, said = labelled(30, 5, 0.9)
    plain: Any = SimpleNamespace(METRIC=TASK.METRIC, metrics=TASK.metrics)
    slow = compared(plain, examples, said, ["a"] * 30, SETTINGS)
    assert slow == pytest.approx(found(examples, said, ["a"] * 30))


def test_samples_are_the_same_however_many_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    together = np.concatenate(list(bootstrap_counts(4, 2000)))
    assert together.shape == (2000, 4)
    assert (together.sum(axis=1) == 4).all()
    for at_once in (1, 17):
        monkeypatch.setattr("tasks.evaluation.paired_bootstrap.AT_ONCE", at_once)
        assert np.array_equal(np.concatenate(list(bootstrap_counts(4, 2000))), together)


def test_of_many_examples_bundles_are_drawn_and_the_interval_is_as_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples, said = labelled(2000, 6, 0.8)
    other = labelled(2000, 7, 0.8)[1]
    alone = found(examples, said, other)
    monkeypatch.setattr("tasks.evaluation.paired_bootstrap.MOST_UNITS", 500)
    assert np.bincount(bundles_of(np.arange(2000))).tolist() == [4] * 500
    bundled = found(examples, said, other)
    assert bundled["difference"] == alone["difference"]
    assert bundled["error"] == pytest.approx(alone["error"], rel=0.1)


def test_groups_stay_whole_in_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.evaluation.paired_bootstrap.MOST_UNITS", 3)
    groups = np.repeat(np.arange(10), 2)
    units = bundles_of(groups)
    assert (units[::2] == units[1::2]).all()
    assert set(units) == {0, 1, 2}


def test_what_is_right_or_wrong_is_counted_and_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.evaluation.paired_bootstrap.bootstrap_counts", None)
    task, settings = task_named("preference"), Settings("preference")
    said = {"model": [1.0] * 70 + [-1.0] * 30, "other": [1.0] * 40 + [-1.0] * 60}
    intervals, comparisons = measured(task, [{}] * 100, said, settings)
    assert comparisons["other"]["by"] == "McNemar's test"
    assert (comparisons["other"]["won"], comparisons["other"]["lost"]) == (30, 0)
    assert intervals["model"] == {"value": 0.7, "low": 0.604151454, "high": 0.781051147}


def test_outcomes_of_groups_are_drawn_in_groups() -> None:
    task, settings = task_named("preference"), Settings("preference")
    examples = [{"group": n // 2} for n in range(100)]
    said = {"model": [1.0] * 70 + [-1.0] * 30, "other": [1.0] * 40 + [-1.0] * 60}
    comparison = measured(task, examples, said, settings).comparisons["other"]
    assert (comparison["by"], comparison["groups"]) == ("paired bootstrap", 50)
