"""Answers that stand in a context, at a position."""

from __future__ import annotations

import re
import unicodedata
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


def trimmed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer without the blanks around it, which a mouse marks along with it."""
    text, start = answer["text"].strip(), answer["start"]
    before = len(answer["text"]) - len(answer["text"].lstrip())
    return {"text": text, "start": start + before if start >= 0 else start}


def with_position(answer: Mapping[str, Any], context: str) -> dict[str, Any]:
    """The answer at its position; one whose start is wrong, at the nearest place where its text stands.

    A start may have been counted in units of UTF-16, as browsers do, or in bytes of UTF-8. Then it is
    exactly there.

    Raises:
        ValueError: it is not in the context, or in several places and no start is stated.
    """
    text, start = answer["text"], answer["start"]
    if start >= 0 and context.startswith(text, start):
        return dict(answer)
    places = [match.start() for match in re.finditer(f"(?={re.escape(text)})", context)]
    if not places and (spelt := _spelt_otherwise(text, context)):
        return with_position({"text": spelt, "start": start}, context)
    if not places:
        raise ValueError(f"the answer {text!r} is not in its context")
    if start < 0 and len(places) > 1:
        raise ValueError(f"the answer {text!r} is in its context more than once, and its start is not stated")
    counted_otherwise = (
        place
        for codec, unit in (("utf-16-le", 2), ("utf-8", 1))
        for place in places
        if len(context[:place].encode(codec, "surrogatepass")) == start * unit
    )
    return {"text": text, "start": next(counted_otherwise, min(places, key=lambda place: abs(place - start)))}


def _spelt_otherwise(text: str, context: str) -> str:
    """The answer as its context writes it: with other blanks or in the other Unicode form; else ""."""
    forms = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    patterns = (r"\s+".join(map(re.escape, form.split())) for form in forms)
    found = next(filter(None, (re.search(pattern, context) for pattern in patterns)), None)
    return found[0] if found else ""


def _answer(stated: Any) -> dict[str, Any]:
    stated = {"text": stated} if isinstance(stated, str) else stated
    text = stated.get("text") if isinstance(stated, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise ValueError("holds an answer without text")
    start = stated.get("answer_start", stated.get("start", -1))
    if isinstance(start, float) and start.is_integer():
        start = int(start)  # a gap in a column of whole numbers makes them 1.0 and 2.0
    if not isinstance(start, int) or isinstance(start, bool):
        raise ValueError(f"holds an answer whose start is {start!r}, not a number of characters")
    return {"text": text, "start": start}
