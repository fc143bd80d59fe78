"""Answers in the shapes in which files state them, at the place where their text stands."""

import re
from typing import Any

import pytest

from corpus.examples.answers import answers_in, trimmed, with_position

ONE = [{"text": "old", "start": 8}]


@pytest.mark.parametrize(
    ("stated", "answers"),
    [
        ([{"text": "old", "answer_start": 8}], ONE),
        ([{"text": "old", "start": 8}], ONE),
        ({"text": ["old"], "answer_start": [8]}, ONE),
        ({"text": ["old"]}, [{"text": "old", "start": -1}]),
        ({"text": [], "answer_start": []}, []),
        ("old", [{"text": "old", "start": -1}]),
        ("", []),
    ],
)
def test_shapes(stated: Any, answers: list[dict[str, Any]]) -> None:
    assert answers_in(stated) == answers


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (7, "holds int, not a list of answers"),
        ([{"start": 1}], "an answer without text"),
        ([{"text": " "}], "an answer without text"),
        ([{"text": "x", "answer_start": "8"}], "whose start is '8'"),
        ([{"text": "x", "answer_start": True}], "whose start is True"),
        ({"text": ["x", "y"], "answer_start": [1]}, "answers ['x', 'y'] and the starts [1], not as many"),
    ],
)
def test_what_is_no_answer(stated: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        answers_in(stated)


def test_an_answer_is_found_where_it_stands_once() -> None:
    assert with_position({"text": "old", "start": -1}, "Rome is old.") == ONE[0]
    assert with_position({"text": "Rome", "start": 6}, "Rome, Rome") == {"text": "Rome", "start": 6}
    with pytest.raises(ValueError, match="more than once, and its start is not stated"):
        with_position({"text": "Rome", "start": -1}, "Rome, Rome")
    with pytest.raises(ValueError, match="is not in its context"):
        with_position({"text": "new", "start": 1}, "Rome, Rome")


EMOJI = "😀😀😀 1990 😀😀😀 é 1990 and 1990"


@pytest.mark.parametrize("place", [4, 15, 24])
@pytest.mark.parametrize(("codec", "unit"), [("utf-16-le", 2), ("utf-8", 1)])
def test_starts_in_other_units_are_exactly_there(place: int, codec: str, unit: int) -> None:
    assert EMOJI.startswith("1990", place)
    counted = len(EMOJI[:place].encode(codec)) // unit
    assert with_position({"text": "1990", "start": counted}, EMOJI) == {"text": "1990", "start": place}


@pytest.mark.parametrize("context", ["is\u00a0old", "is  old", "is\nold"])
def test_an_answer_with_other_blanks_is_as_its_context_writes_it(context: str) -> None:
    assert with_position({"text": "is old", "start": 5}, f"Rome {context}.") == {"text": context, "start": 5}


def test_an_answer_in_the_other_unicode_form() -> None:
    for one, other in (("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")):
        found = with_position({"text": one, "start": 3}, f"Le {other} est un {other}.")
        assert found == {"text": other, "start": 3}


def test_a_wrong_start_is_put_at_the_nearest_place() -> None:
    assert with_position({"text": "Rome", "start": 1}, "Rome, Rome") == {"text": "Rome", "start": 0}
    assert with_position({"text": "Rome", "start": 5}, "Rome, Rome") == {"text": "Rome", "start": 6}
    assert with_position({"text": "aa", "start": 99}, "aaa") == {"text": "aa", "start": 1}


def test_a_start_that_is_right_is_not_taken_for_one_in_other_units() -> None:
    assert with_position({"text": "1", "start": 2}, "😀11") == {"text": "1", "start": 2}


def test_a_start_of_nought_is_one() -> None:
    assert with_position({"text": "Rome", "start": 0}, "In Rome, Rome") == {"text": "Rome", "start": 3}
    assert trimmed({"text": " old", "start": 0}) == {"text": "old", "start": 1}


def test_blanks_around_an_answer_are_left_out() -> None:
    assert trimmed({"text": " \u00a0old\n", "start": 6}) == ONE[0]
    assert trimmed({"text": "old ", "start": -1}) == {"text": "old", "start": -1}
    assert answers_in([{"text": "old", "answer_start": 8.0}]) == ONE
