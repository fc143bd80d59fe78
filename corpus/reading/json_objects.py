"""JSON: an object per line, objects one after the other, or arrays of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from corpus.reading.example_files import File
from corpus.reading.rows import Row, wrong

# Files that were joined have the byte-order marks of each.
_BETWEEN = re.compile(r"[\s,\ufeff]*")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for name in names if names.count(name) > 1))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


class _Repeated(ValueError):
    """A key that an object has twice; of its values all but the last would be lost."""


def read(file: File) -> Iterator[Row]:
    """A row per object, its values by key.

    Raises:
        CorpusError: what comes from here on is no JSON object.
    """
    position, line, counted, in_array = 0, 1, 0, False
    while True:
        position = _end_of_match(_BETWEEN, file.text, position)
        if position == len(file.text):
            if in_array:
                raise wrong(file.uri, file.text.count("\n") + 1, "the file ends in its array; is it whole?")
            return
        if file.text[position] == ("]" if in_array else "["):
            in_array, position = not in_array, position + 1
            continue
        line, counted = line + file.text.count("\n", counted, position), position
        try:
            value, position = _DECODER.raw_decode(file.text, position)
        except json.JSONDecodeError as error:
            raise wrong(file.uri, error.lineno, f"not JSON ({error.msg}, column {error.colno})") from error
        except _Repeated as error:
            raise wrong(file.uri, line, f"the key {str(error)!r} occurs twice; rename one") from error
        except ValueError as error:
            raise wrong(file.uri, line, f"a number that can't be read ({error})") from error
        except RecursionError as error:
            raise wrong(file.uri, line, "JSON that is nested too deeply") from error
        if not isinstance(value, dict):
            raise wrong(file.uri, line, f"a JSON {type(value).__name__}; an example is an object")
        yield Row(file.uri, line, value)


def _end_of_match(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
