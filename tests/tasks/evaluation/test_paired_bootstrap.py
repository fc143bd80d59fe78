"""The paired bootstrap: intervals that hold what they should, and that know of groups."""

import math
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_code.task_types.task import Settings, task_named
from tasks.evaluation.paired_bootstrap import bootstrap_counts, compared, groups_of

SETTINGS = Settings("classification", ("a", "b"))
TASK = task_named("classification")


def labelled(count: int, seed: int, accuracy: float) -> tuple[list[dict[str, Any]], list[str]]:
    rng = random.Random(seed)
    examples = [{"id": f"{n}", "label": rng.choice("ab")} for n in range(count)]
    said = [e["label"] if rng.random() < accuracy else "ba"["ab".index(e["label"])] for e in examples]
    return examples, said


def found(examples: list[dict[str, Any]], said: list[str], other: list[str]) -> dict[str, float]:
    return compared(TASK, examples, said, {"other": other}, SETTINGS)["other"]


def test_a_model_is_not_clearly_better_than_itself() -> None:
    examples, said = labelled(100, 1, 0.8)
    assert found(examples, said, said) == {
        **{"difference": 0, "low": 0, "high": 0, "examples": 100, "groups": 100}
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
    nothing = {"other": [{"text": "no", "start": 0}] * 400}
    interval = compared(task, examples, said, nothing, Settings("question_answering"))["other"]
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
        interval = compared(task, examples, one, {"other": other}, settings)["other"]
        held += interval["low"] <= 0.1 <= interval["high"]
    assert held >= 53  # of 57 expected


def test_examples_of_one_group_are_drawn_together() -> None:
    assert groups_of([{"group": "x"}, {"group": "y"}, {"group": "x"}, {}]).tolist() == [0, 1, 0, 2]
    assert groups_of([{"group": "x"}] * 3).tolist() == [0, 1, 2]
    for counts in bootstrap_counts(np.array([0, 1, 0, 2])):
        assert (counts[:, 0] == counts[:, 2]).all()
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
    monkeypatch.setattr("tasks.evaluation.paired_bootstrap.SAMPLES", 50)
    examples, said = labelled(30, 5, 0.9)
    plain: Any = SimpleNamespace(METRIC=TASK.METRIC, metrics=TASK.metrics)
    slow = compared(plain, examples, said, {"other": ["a"] * 30}, SETTINGS)["other"]
    assert slow == pytest.approx(found(examples, said, ["a"] * 30))


def test_samples_are_the_same_however_many_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.array([0, 1, 0, 2, 3])
    together = np.concatenate(list(bootstrap_counts(groups)))
    assert together.shape == (2000, 5)
    for at_once in (1, 17):
        monkeypatch.setattr("tasks.evaluation.paired_bootstrap.AT_ONCE", at_once)
        assert np.array_equal(np.concatenate(list(bootstrap_counts(groups))), together)
