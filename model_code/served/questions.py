"""What a question has to be before anything is made of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

SHOWN = 40  # characters of a wrong value in a message


def lacks(question: Mapping[str, Any], names: Sequence[str]) -> str:
    """Which of these texts a question has not, or not as one; "" if it has all."""
    for name in names:
        text = question.get(name)
        if not isinstance(text, str):
            return f"it has no {name}" if text is None else f"its {name} is no text"
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"its {name} has half a character (a lone surrogate)"
    return ""


def shown(value: object) -> str:
    """A value in a message, not longer than a person reads."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def is_mark(character: str) -> bool:
    """Whether it stands on the character before it, as an accent or a vowel sign does."""
    return unicodedata.category(character).startswith("M")


@cache
def marks() -> str:
    """All such characters, as ranges of a class of a regular expression."""
    found = [code for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)) if is_mark(chr(code))]
    runs = (list(run) for _, run in groupby(enumerate(found), key=lambda one: one[1] - one[0]))
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)
