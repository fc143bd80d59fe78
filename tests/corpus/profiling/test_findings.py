"""What is wrong with rows is counted, and no text of theirs is told."""

from __future__ import annotations

from typing import Any

from corpus.profiling.column import columns_of, words_in
from corpus.profiling.findings import Findings, findings
from corpus.profiling.guess import Guess

BY_LABEL = Guess("classification", "", {"text": "text", "label": "label"})


def found(*rows: tuple[Any, Any], guess: Guess = BY_LABEL) -> Findings:
    """What is found in rows with these values."""
    return findings([dict(zip(guess.columns.values(), row, strict=True)) for row in rows], guess)


def test_labels_are_counted_as_a_run_spells_them() -> None:
    assert found(("a b", "x "), ("c d", "x"), ("e f", 2.0)).labels == {"x": 2, "2": 1}


def test_rows_that_stop_a_run_are_counted_apart() -> None:
    seen = found(("a b", "x"), ("  ", "x"), (None, "y"), ("c d", ""), ("e f", "nan"), ("g h", "['a', 'b']"))
    assert (seen.no_text, seen.no_label, seen.labels) == (2, 3, {"x": 1})


def test_repetitions_and_contradictions() -> None:
    seen = found(("a b", "x"), ("a b", "x"), ("a b", "y"), ("c d", "y"))
    assert (seen.repeated, seen.contradicting) == (2, 1)


def test_rare_labels_and_lopsided_ones() -> None:
    rows = [(f"text {number}", "common") for number in range(90)]
    assert not found(*rows, *((f"t {n}", "rare") for n in range(10))).is_unbalanced
    seen = found(*rows, *((f"t {n}", "rare") for n in range(9)))
    assert (seen.is_unbalanced, seen.rare) == (True, ["rare"])


def test_lengths_are_of_all_that_is_read_together() -> None:
    pair = Guess("classification", "", {"text": "a", "second": "b", "label": "c"})
    seen = findings([{"a": "one two", "b": "three", "c": "x"}], pair)
    assert seen.lengths is not None
    assert seen.lengths.longest == 3


def test_characters_of_scripts_without_spaces_are_words() -> None:
    assert (words_in("埃及人 builds 2"), words_in("it 's a test")) == (5, 4)


def test_names_are_counted_once_each() -> None:
    tagged = Guess("token_classification", "", {"words": "words", "tags": "tags"})
    seen = found((["Ada", "L", "fell"], ["B-PER", "I-PER", "O"]), (["Rome"], ["B-LOC"]), guess=tagged)
    assert seen.labels == {"PER": 1, "LOC": 1}


def test_columns_of_zeros_and_ones_count_as_labels_and_anything_else_as_none() -> None:
    marked = Guess("multi_label", "", {"text": "text", "labels": ["a", "b"]})
    rows = [
        {"text": "t u", "a": 1, "b": "0"},
        {"text": "v w", "a": "true", "b": 1},
        {"text": "x", "a": 2, "b": 0},
    ]
    seen = findings(rows, marked)
    assert (seen.labels, seen.no_label) == ({"a": 2, "b": 1}, 1)


def test_languages_are_those_of_many_texts_together() -> None:
    english = [(f"the weather is fine today and we are all happy number {n}", "x") for n in range(20)]
    chinese = [(f"今天天气很好我们都很高兴因为可以出去玩第{n}天", "y") for n in range(20)]
    assert found(*english).languages == ["English"]
    assert set(found(*english, *chinese).languages) == {"English", "Chinese"}


def test_a_column_is_described_without_its_texts() -> None:
    rows = [
        {"text": f"a long secret text {n}", "label": "x" if n % 2 else "y", "gap": ""} for n in range(2000)
    ]
    text, label, gap = columns_of(rows)
    assert (text.kind, text.distinct, dict(text.counts)) == ("text", 2000, {})
    assert (label.kind, dict(label.counts)) == ("text", {"x": 1000, "y": 1000})
    assert (gap.kind, gap.filled) == ("empty", 0)


def test_kinds_of_values() -> None:
    values = {
        "whole": [1, "2", 3.0],
        "number": ["0.5", "2"],
        "truth": [True, "false"],
        "list": [["a"], "['b', 'c']"],
        "numbers": [[1, 2]],
        "answers": [{"text": ["a"], "answer_start": [0]}],
        "messages": [[{"role": "user", "content": "a"}]],
        "text": ["some", "12"],
    }
    for kind, several in values.items():
        assert [one.kind for one in columns_of([{"c": value} for value in several])] == [kind]
