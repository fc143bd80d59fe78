"""Answers that stand in a context, at a position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def answers_in(value: Any) -> list[dict[str, Any]]:
    """The answers that a file states: `text`, and `start`, -1 where it states none.

    Known are SQuAD's list of {"text", "answer_start"}, the same as two lists ({"text": [], "answer_start":
    []}, as `datasets` writes it), and a text alone.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        return [{"text": value, "start": -1}] if value else []
    if isinstance(value, Mapping) and isinstance(texts := value.get("text"), list):
        starts = value.get("answer_start", [-1] * len(texts))
        if not isinstance(starts, list) or len(starts) != len(texts):
            raise ValueError(f"holds the answers {texts!r} and the starts {starts!r}, not as many of each")
        value = [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(value, list):
        raise ValueError(f"holds {type(value).__name__}, not a list of answers")
    return [_answer(stated) for stated in value]


def placed(answer: Mapping[str, Any], context: str) -> dict[str, Any]:
    """The answer at its position; a start that is wrong is put right where the text occurs only once.

    Raises:
        ValueError: it is not in the context, or in several places and in none of them at its start.
    """
    text, start = answer["text"], answer["start"]
    if start >= 0 and context.startswith(text, start):
        return dict(answer)
    first = context.find(text)
    if first < 0:
        raise ValueError(f"the answer {text!r} is not in its context")
    if context.find(text, first + 1) >= 0:
        raise ValueError(
            f"the answer {text!r} is not at position {start} of its context, and elsewhere more than once"
        )
    return {"text": text, "start": first}


def _answer(stated: Any) -> dict[str, Any]:
    stated = {"text": stated} if isinstance(stated, str) else stated
    text = stated.get("text") if isinstance(stated, Mapping) else None
    if not isinstance(text, str) or not text:
        raise ValueError("holds an answer without text")
    start = stated.get("answer_start", stated.get("start", -1))
    if not isinstance(start, int):
        raise ValueError(f"holds an answer whose start is {start!r}, not a number of characters")
    return {"text": text, "start": start}
