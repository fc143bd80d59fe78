"""Answers in the shapes in which files state them, at the place where their text stands."""

import re
from typing import Any

import pytest

from tasks.labelled.answers import answers_in, placed

ONE = [{"text": "old", "start": 8}]


@pytest.mark.parametrize(
    ("stated", "answers"),
    [
        ([{"text": "old", "answer_start": 8}], ONE),
        ([{"text": "old", "start": 8}], ONE),
        ({"text": ["old"], "answer_start": [8]}, ONE),
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
        ([{"text": "x", "answer_start": "8"}], "whose start is '8'"),
        ({"text": ["x", "y"], "answer_start": [1]}, "answers ['x', 'y'] and the starts [1], not as many"),
    ],
)
def test_what_is_no_answer(stated: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        answers_in(stated)


def test_an_answer_is_found_where_it_stands_once() -> None:
    assert placed({"text": "old", "start": -1}, "Rome is old.") == ONE[0]
    assert placed({"text": "Rome", "start": 6}, "Rome, Rome") == {"text": "Rome", "start": 6}
    with pytest.raises(ValueError, match="more than once"):
        placed({"text": "Rome", "start": 1}, "Rome, Rome")
    with pytest.raises(ValueError, match="is not in its context"):
        placed({"text": "new", "start": 1}, "Rome, Rome")
