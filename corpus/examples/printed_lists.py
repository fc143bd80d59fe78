"""Lists that were printed into a cell: as JSON, or as Python writes one (`['billing', 'urgent']`).

Anything else in brackets is refused: numpy prints `['a' 'b']` and `[0 1 1]`, Java `[a, b]`, PostgreSQL
`{a,b}`, and to split these at a comma would make labels such as `['a'`.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_ITEM = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|-?\d+(?:\.\d+)?|True|False|None)"""
# ast alone would read ['a' 'b'] as the one text 'ab'.
_PYTHON = re.compile(rf"[\[({{]\s*(?:{_ITEM}\s*(?:,\s*{_ITEM}\s*)*+,?)?\s*[\])}}]", re.DOTALL)
_CALL = re.compile(
    r"(?:(?:np|numpy|pd|torch)\.\w+|array|tensor|Index|Series|Categorical|frozenset|set|list|tuple|dict|c)\(.*\)",
    re.DOTALL,
)
_CLOSED_BY = {"[": "]", "{": "}", "(": ")"}


def list_in(text: str) -> list[Any] | None:
    """The list that is printed in `text`; None where it is no list. `(other)` is none.

    Raises:
        ValueError: it is in brackets and can't be read, or is another printed object.
    """
    text = text.strip()
    if _CALL.fullmatch(text):
        raise ValueError(f"holds {_short(text)}, a printed object; write a JSON list, or the label alone")
    if not text or _CLOSED_BY.get(text[0]) != text[-1]:
        return None
    for read in (json.loads, _in_python):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError):
            continue
        if isinstance(found, list | tuple | set):
            return sorted(found, key=repr) if isinstance(found, set) else list(found)
    if text[0] == "(":
        return None
    raise ValueError(
        f"holds {_short(text)}, in brackets but no list as JSON or Python writes one; write "
        '["one", "another"], or take the brackets off'
    )


def _in_python(text: str) -> Any:
    if not _PYTHON.fullmatch(text):
        raise ValueError
    return ast.literal_eval(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
