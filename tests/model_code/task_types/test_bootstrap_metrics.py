"""What is computed of counts is the task's METRIC of examples that occur so often."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model_code.task_types import multi_label, relations, seq2seq, task_types
from model_code.task_types.task import Settings, task_named

LABELS = ("a", "b", "c")
TAGS = ("B-X", "B-Y", "I-X", "I-Y", "O")


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(["the", "cat", "sat", "on", "a", "mat", "in", "rain"], k=8))


def answer(labels: list[str]) -> dict[str, Any]:
    return {"labels": labels, "probabilities": {label: float(label in labels) for label in LABELS}}


Made = tuple[dict[str, Any], Any]
MAKERS: dict[str, Callable[[random.Random], Made]] = {
    "classification": lambda r: ({"label": r.choice("aab")}, r.choice("aaab")),
    "relations": lambda r: ({"label": r.choice("aabc")}, r.choice("aabc")),
    "multi_label": lambda r: ({"labels": r.sample("ab", r.randint(0, 2))}, answer(r.sample("abc", 1))),
    "token_classification": lambda r: (
        {"tags": r.choice([["B-X", "I-X", "O"], ["O", "B-Y", "O"], ["O", "O", "O"]])},
        r.choice([["B-X", "I-X", "O"], ["B-X", "O", "O"], ["O", "O", "O"]]),
    ),
    "question_answering": lambda r: (
        {"answers": [{"text": text(r), "start": 0} for _ in range(r.randint(0, 2))]},
        {"text": text(r), "start": 0},
    ),
    "seq2seq": lambda r: ({"target": text(r)}, text(r)),
    "instructions": lambda r: ({"prompt": "?", "response": text(r)}, text(r)),
    "preference": lambda r: ({}, r.choice([-1.5, 0.0, 0.2, 3.0])),
    "similarity": lambda r: ({"score": r.randint(0, 4)}, r.randint(0, 9) / 10),
}
SETTINGS = {
    "multi_label": Settings("multi_label", LABELS, options=multi_label.Options()),
    "relations": Settings("relations", LABELS, options=relations.Options("a")),
    "seq2seq": Settings("seq2seq", options=seq2seq.Options()),
    "token_classification": Settings("token_classification", TAGS),
}


def test_every_task_type_can_be_resampled() -> None:
    assert all(hasattr(task_named(name), "resampled") for name in task_types())
    assert {*MAKERS, "matching"} == set(task_types())


@pytest.mark.parametrize("name", MAKERS)
def test_counts_say_how_often_an_example_occurs(name: str) -> None:
    rng, task = random.Random(1), task_named(name)
    examples, predictions = map(list, zip(*(MAKERS[name](rng) for _ in range(40)), strict=True))
    settings = SETTINGS.get(name, Settings(name, LABELS))
    # Every label stays, as it does in the sums.
    counts = np.array([np.bincount(rng.choices(range(40), k=40), minlength=40) + 1 for _ in range(5)])
    found = task.resampled(examples, predictions, settings)(counts)
    for figure, times in zip(found, counts, strict=True):
        drawn = [i for i, count in enumerate(times) for _ in range(count)]
        repeated = task.metrics([examples[i] for i in drawn], [predictions[i] for i in drawn], settings)
        assert figure == pytest.approx(repeated[task.METRIC])


def test_matching_searches_among_all_candidates() -> None:
    task, rng = task_named("matching"), np.random.default_rng(0)
    examples = [{"first": f"{n}", "second": f"{n}"} for n in range(30)]
    vectors = [{"first": one, "second": one + other} for one, other in rng.standard_normal((30, 2, 4))]
    once = task.resampled(examples, vectors, Settings("matching"))(np.ones((1, 30)))
    assert once[0] == task.metrics(examples, vectors, Settings("matching"))["recall_at_10"]


def test_a_label_that_a_sample_lacks_takes_nothing_from_the_others() -> None:
    examples, said = [{"label": "a"}, {"label": "b"}], ["a", "b"]
    figure = task_named("classification").resampled(examples, said, Settings("classification", ("a", "b")))
    assert figure(np.array([[2, 0], [1, 1], [0, 2]])).tolist() == [1, 1, 1]
