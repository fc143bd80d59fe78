"""What a request's body says: JSON within bounds, and its values one by one, each of its kind and in range.

The bundled Triton dies of some JSON (40,000 brackets in each other). So what a client sends is taken apart
here, and only values that were read this way are written into a request to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from deploy.door.refusals import Refusal

MOST_DEPTH = 32  # brackets in each other; messages with pictures have 6
SHOWN = 40  # characters of a wrong value in a message


def read_object(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object. Raises Refusal for anything else."""
    try:
        content = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # no UTF-8 and numbers of thousands of digits, too
        raise Refusal(400, f"the body is not JSON ({error})") from None
    if _is_deeper(content, MOST_DEPTH):
        raise _too_deep()
    if not isinstance(content, dict):
        raise Refusal(400, f"the body is {shown(content)}; send a JSON object")
    return content


def shown(value: object) -> str:
    """A value in a message, not longer than a person reads."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def text_of(value: object, name: str) -> str:
    """A text. Raises Refusal for anything else, and for half a character, which is no text to Triton."""
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refusal(400, f"{name} has half a character (a lone surrogate)", name) from None
    return value


def texts_of(value: object, name: str, most: int) -> list[str]:
    """One text or a list of them, `most` at most. Raises Refusal for anything else."""
    if isinstance(value, str):
        return [text_of(value, name)]
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise _wrong(name, value, f"a text, or a list of 1 to {most}")
    if any(isinstance(one, int | list) for one in value):
        raise Refusal(400, f"{name} is token ids, and the endpoint takes texts; send the text", name)
    return [text_of(one, name) for one in value]


def flag(said: Mapping[str, Any], name: str) -> bool:
    """Yes or no, no where nothing is said. Raises Refusal for anything else."""
    value = said.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, value, "true or false")
    return bool(value)


def whole(said: Mapping[str, Any], name: str, least: int, greatest: int) -> int | None:
    """A whole number, None where nothing is said. Raises Refusal for one that is out of range."""
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= greatest:
        raise _wrong(name, value, f"a whole number from {least} to {greatest}")
    return value


def number(said: Mapping[str, Any], name: str, least: float, greatest: float) -> float | None:
    """A number, None where nothing is said. Raises Refusal for one that is out of range."""
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= greatest:
        raise _wrong(name, value, f"a number from {least:g} to {greatest:g}")
    return float(value)


def one_of(said: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    """One of these words, the first where nothing is said. Raises Refusal for anything else."""
    value = said.get(name)
    if value is None:
        return allowed[0]
    if value not in allowed or not isinstance(value, str):
        raise _wrong(name, value, f"one of {', '.join(allowed)}")
    return value


def _wrong(name: str, value: object, wanted: str) -> Refusal:
    found = "missing" if value is None else shown(value)
    return Refusal(400, f"{name} is {found}; give {wanted}", name)


def _too_deep() -> Refusal:
    return Refusal(400, f"the body has more than {MOST_DEPTH} brackets in each other")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _is_deeper(value: object, most: int) -> bool:
    """Without a call in each other, since the value may be as deep as the parser goes."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
