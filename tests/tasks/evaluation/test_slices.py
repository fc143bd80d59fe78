"""Parts of the test examples: their figures are those of the examples in them, the tiny ones are marked."""

import random
from typing import Any

import pytest

from model_code.task_types.task import Settings, task_named
from tasks.evaluation.paired_outcomes import wilson
from tasks.evaluation.slices import HEADER, TINY, slice_rows, slices

SETTINGS = Settings("classification", ("a", "b"))


def texts(count: int) -> list[dict[str, Any]]:
    return [{"id": str(n), "text": "x" * (n + 1), "label": "b" if n < 12 else "a"} for n in range(count)]


def found(task: str, test: list[dict[str, Any]], said: list[Any], settings: Settings) -> list[dict[str, Any]]:
    return slices(task_named(task), test, said, settings)


def test_labels_and_quarters_by_length_each_with_its_interval() -> None:
    test = texts(200)
    said = ["a" if n < 6 or n >= 20 else "b" for n in range(200)]
    by = {(part["by"], part["part"]): part for part in found("classification", test, said, SETTINGS)}
    assert [part for kind, part in by if kind == "length"] == [
        *("1 to 50 characters", "51 to 100 characters", "101 to 150 characters", "151 to 200 characters"),
    ]
    rare = by["label", "b"]
    assert (rare["examples"], rare["value"], rare["tiny"], rare["figure"]) == (12, 0.5, True, "right answers")
    assert (rare["low"], rare["high"]) == pytest.approx(wilson(6, 12, 0.95))
    short = by["length", "1 to 50 characters"]
    assert (short["examples"], short["value"], short["tiny"]) == (50, 0.72, False)
    assert TINY > 12


def test_examples_of_one_length_are_one_part() -> None:
    test = [{"id": str(n), "text": "same", "label": "a"} for n in range(40)]
    parts = found("classification", test, ["a"] * 40, SETTINGS)
    assert [(part["by"], part["part"]) for part in parts] == [("length", "4 to 4 characters"), ("label", "a")]


def test_a_text_is_searched_for_among_all_and_not_in_its_part() -> None:
    test = [{"first": "x" * (n + 1), "second": f"{n}"} for n in range(40)]
    # Each first text lies where the second ones of the other half are.
    said = [
        {"first": [1.0, 0.0] if n < 20 else [0.0, 1.0], "second": [0.0, 1.0] if n < 20 else [1.0, 0.0]}
        for n in range(40)
    ]
    parts = found("matching", test, said, Settings("matching"))
    assert {part["value"] for part in parts} == {0.0}
    assert {part["figure"] for part in parts} == {"recall_at_10"}


def test_the_figure_of_a_part_is_the_metric_of_its_examples() -> None:
    rng = random.Random(1)
    tags = [["B-X", "I-X", "O"], ["O", "B-Y", "O"], ["O", "O", "O"]]
    test = [{"id": f"{n}", "words": ["w" * (n + 1)] * 3, "tags": rng.choice(tags)} for n in range(80)]
    said = [rng.choice(tags) for _ in test]
    settings, task = (
        Settings("token_classification", ("B-X", "B-Y", "I-X", "I-Y", "O")),
        "token_classification",
    )
    first = found(task, test, said, settings)[0]
    assert first["examples"] == 20
    assert first["value"] == pytest.approx(task_named(task).metrics(test[:20], said[:20], settings)["f1"])
    assert first["low"] < first["value"] < first["high"]


def test_a_correlation_is_that_of_the_part() -> None:
    rng = random.Random(2)
    test = [{"first": "x" * (n + 1), "second": "", "score": rng.randint(0, 5)} for n in range(80)]
    said = [rng.random() for _ in test]
    first = found("similarity", test, said, Settings("similarity"))[0]
    expected = task_named("similarity").metrics(test[:20], said[:20], Settings("similarity"))["spearman"]
    assert first["value"] == pytest.approx(expected)


def test_several_labels_are_right_only_all_together() -> None:
    test = [{"text": "t", "labels": ["a", "b"]}, {"text": "t", "labels": []}]
    said = [{"labels": ["b", "a"], "probabilities": {}}, {"labels": ["a"], "probabilities": {}}]
    (part,) = found("multi_label", test, said, Settings("multi_label", ("a", "b")))
    assert (part["value"], part["examples"]) == (0.5, 2)


def test_rows_say_which_parts_are_too_small() -> None:
    test = texts(200)
    table = slice_rows(found("classification", test, ["a"] * 200, SETTINGS))
    assert len(table[0]) == len(HEADER)
    (rare,) = [row for row in table if row[1] == "b"]
    assert rare == ("label", "b", 12, "right answers", 0.0, "0 to 0.2425, too few to say much")
