"""A part of a text by its characters, as files write one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.examples.printed_lists import list_in


def span_in(value: Any) -> dict[str, Any]:
    """The `start` and `end` that a file states, and the `text` if it does; what else it says of it is left.

    Known are {"start": 0, "end": 3, "text": "Ada"} and [0, 3], also printed in a cell.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str):
        value = list_in(value)
    stated = value if isinstance(value, Mapping) else {}
    borders = [stated.get("start"), stated.get("end")] if stated else value
    # A gap in a column of whole numbers makes them 1.0 and 2.0.
    if isinstance(borders, list):
        borders = [int(one) if isinstance(one, float) and one.is_integer() else one for one in borders]
    if not isinstance(borders, list) or len(borders) != 2 or not all(type(one) is int for one in borders):
        raise ValueError('holds no two places in the text; write [0, 3] or {"start": 0, "end": 3}')
    text = stated.get("text")
    if text is not None and not isinstance(text, str):
        raise ValueError(f"holds a text that is {type(text).__name__}")
    return {"start": borders[0], "end": borders[1]} | ({} if text is None else {"text": text})
