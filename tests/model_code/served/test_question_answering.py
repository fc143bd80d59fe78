"""Pieces of a context as a person reads them."""

from __future__ import annotations

import pytest

from model_code.served.question_answering import Form, in_context


@pytest.mark.parametrize(
    ("context", "start", "end", "text", "first"),
    [
        ("by Jane Doe.", 2, 11, "Jane Doe", 3),  # a token may begin with the space before its word
        ("by cafe\u0301 in town", 3, 7, "cafe\u0301", 3),  # a tokenizer took the accent off
        ("a ❤\ufe0f b", 2, 3, "❤\ufe0f", 2),
    ],
)
def test_an_answer_is_a_piece_of_its_context(
    context: str, start: int, end: int, text: str, first: int
) -> None:
    assert in_context(context, start, end) == (text, first)
    assert context[first : first + len(text)] == text


def test_the_score_is_that_of_what_is_said() -> None:
    form = Form.__new__(Form)
    assert form._answer(2.0, "Jane", 3, no_answer=True) == {
        **{"answer": "Jane", "start": 3, "end": 7},
        "score": pytest.approx(0.8808, abs=1e-4),
    }
    none = {"answer": "", "start": -1, "end": -1}
    assert form._answer(-2.0, "Jane", 3, no_answer=True) == none | {"score": pytest.approx(0.8808, abs=1e-4)}
    assert form._answer(-2.0, "Jane", 3, no_answer=False)["answer"] == "Jane"
    assert form._answer(float("-inf"), "", -1, no_answer=False) == none | {"score": 1.0}
    assert form._answer(1e9, "Jane", 3, no_answer=True)["score"] == 1.0


def test_a_question_without_its_context_is_named() -> None:
    form = Form.__new__(Form)
    assert form.fault({"question": "who?"}) == "it has no context"
    assert form.fault({"question": "who?", "context": " "}) == "its context is empty"
    assert (
        form.fault({"question": "\ud800", "context": "a"})
        == "its question has half a character (a lone surrogate)"
    )
    assert form.fault({"question": 3, "context": "a"}) == "its question is no text"
    assert form.fault({"question": "who?", "context": "Ada"}) == ""
