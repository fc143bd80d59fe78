"""Text and labels in a record: a JSON object or a row of a table, found by dotted paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

from corpus.reading.skipped import Skipped

NO_TEXT_FIELD = "no text field"


def text_of(record: Mapping[str, Any], path: str) -> str:
    """The string at `path`, such as `article.body`; a list of strings is joined by newlines, null is empty.

    A list on the way stands for each of its entries: `data.paragraphs.context` are all contexts of a file
    in SQuAD's format.

    Raises:
        Skipped: there is nothing at `path`, or what is there is no text.
    """
    found = value_at(record, path)
    if isinstance(found, str):
        return found
    if found is None:
        return ""
    if isinstance(found, list) and all(isinstance(part, str) for part in found):
        return "\n".join(found)
    raise Skipped(NO_TEXT_FIELD, f"field {path!r} holds {type(found).__name__}, not text")


def meta_of(record: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The values at `paths` as JSON has them, by path; one that is missing, null or NaN is left out."""
    found = {}
    for path in paths:
        try:
            value = value_at(record, path)
        except Skipped:
            continue
        if value is not None and value == value:  # NaN is not
            found[path] = _as_json(value)
    return found


def _as_json(value: Any) -> Any:
    """A list stays a list and a number a number; dates are as in ISO 8601, bytes the text that they are."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _as_json(part) for key, part in value.items()}
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def value_at(record: Any, path: str) -> Any:
    """The value at `path`; a key that itself has dots in it is found too, a list gives a flat list.

    Raises:
        Skipped: there is nothing at `path`.
    """
    if isinstance(record, list) and record:
        found = [value_at(entry, path) for entry in record]
        return [part for value in found for part in (value if isinstance(value, list) else [value])]
    if isinstance(record, Mapping):
        if path in record:
            return record[path]
        first, dot, rest = path.partition(".")
        if dot and first in record:
            return value_at(record[first], rest)
        raise Skipped(
            NO_TEXT_FIELD, f"no field {path!r}; found {', '.join(map(str, record))[:300] or 'nothing'}"
        )
    raise Skipped(NO_TEXT_FIELD, f"no field {path!r}; found {type(record).__name__}")
