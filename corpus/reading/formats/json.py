"""A JSON file: one object, an array of objects, or some of both one after the other, read as a stream."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from corpus.reading.containers import Entry
from corpus.reading.decoding import codec_of_head
from corpus.reading.record import OnSkipped, too_large
from corpus.reading.rows import Row, RowOptions, documents_of, skip
from corpus.reading.skipped import Skipped

SUFFIXES = {"json": (".json",)}

_BLOCK = 1 << 17
# Files that were joined have a byte-order mark where the second one begins.
_BETWEEN = re.compile(r"[\s,\ufeff]*")
_LONGEST_TOKEN = len("-Infinity") + 1


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per object, its values by key; its position is its number, from 1.

    A strict reader refuses an object with a key that occurs twice: of its values all but one would be lost.

    Raises:
        Skipped: what comes from here on is no JSON, or a value is too large; strict, also no object.
    """
    codec = codec_of_head(entry.stream.peek(_BLOCK))
    encoding = codec.removesuffix("-sig")
    text = _Window(entry.stream, codec)
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats if on_skipped is None else None)
    number, is_in_array = 0, False
    while following := text.next(_BETWEEN):
        if following == ("]" if is_in_array else "["):
            is_in_array = not is_in_array
            text.start += 1
            continue
        number += 1
        text.mark()
        line = text.line
        value, written = _next_value(text, decoder, options.limit)
        try:
            raw = written.encode("utf-8", "surrogatepass")
            found = object_in(value, line)
            yield Row(entry.uri, line, found, position=str(number), raw=raw, encoding=encoding)
        except Skipped as problem:
            skip(on_skipped, str(number), problem)
    if is_in_array:
        text.mark()
        raise Skipped("damaged", "the file ends in its array; is it whole?", text.line)


read = documents_of(rows)


def object_in(value: object, line: int = 0) -> dict[str, Any]:
    """A JSON value, which has to be an object.

    Raises:
        Skipped: it is none.
    """
    if not isinstance(value, dict):
        raise Skipped("no object", f"a JSON {type(value).__name__}, not an object", line)
    return value


class _Repeated(ValueError):
    """A key that an object has twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for name in names if names.count(name) > 1))
    return unique


def _next_value(text: _Window, decoder: json.JSONDecoder, limit: int) -> tuple[object, str]:
    """The next value, and how it is written."""
    while True:
        try:
            value, end = decoder.raw_decode(text.seen, text.start)
        except RecursionError:
            raise Skipped("not JSON", "JSON that is nested too deeply", text.line) from None
        except json.JSONDecodeError as error:
            at, column = text.place(error.pos)
            problem = Skipped("not JSON", f"not JSON ({error.msg}, column {column})", at)
            if not _may_go_on(error):
                raise problem from error
            if len(text.seen) - text.start > limit:
                raise too_large(limit) from error
            # Doubling what is looked at keeps the work linear.
            if not text.grow(len(text.seen) - text.start):
                raise Skipped("damaged", problem.detail, at) from error
            continue
        except _Repeated as error:
            raise Skipped(
                "not JSON", f"the key {str(error)!r} occurs twice; rename one", text.line
            ) from error
        except ValueError as error:  # thousands of digits
            raise Skipped("not JSON", f"a number that can't be read ({error})", text.line) from error
        # A number at the end of what was read may have more digits.
        if end == len(text.seen) and text.grow(1):
            continue
        written = text.seen[text.start : end]
        text.start = end
        return value, written


def _may_go_on(error: json.JSONDecodeError) -> bool:
    """Whether more text could make it right: it went wrong in a string or where the text ends."""
    return error.msg.startswith("Unterminated") or error.pos > len(error.doc) - _LONGEST_TOKEN


class _Window:
    """The part of a file's text that is being looked at: `seen`, from `start` on."""

    def __init__(self, stream: BinaryIO, codec: str) -> None:
        self.seen, self.start = "", 0
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)("strict")
        self._ended = False
        self._marked, self.line, self._line_start = 0, 1, 0

    def mark(self) -> None:
        """Count the lines up to `start`, which is in `line`."""
        self.line, column = self.place(self.start)
        self._marked, self._line_start = self.start, self.start + 1 - column

    def place(self, position: int) -> tuple[int, int]:
        """The line and the column, from 1, of a position behind the mark."""
        last = self.seen.rfind("\n", self._marked, position)
        line = self.line + self.seen.count("\n", self._marked, position)
        return line, position + 1 - (last + 1 if last >= 0 else self._line_start)

    def grow(self, least: int) -> bool:
        """Read at least so many more bytes; false at the end of the file."""
        if self._ended:
            return False
        block = self._stream.read(max(least, _BLOCK))
        self._ended = not block
        try:
            added = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise Skipped("unknown encoding", f"from here on it is not in {error.encoding}") from error
        self.mark()
        self.seen, self._line_start = self.seen[self.start :] + added, self._line_start - self.start
        self.start = self._marked = 0
        return True

    def next(self, between: re.Pattern[str]) -> str:
        """The next character behind what `between` matches, however long that is; "" at the end."""
        while True:
            match = between.match(self.seen, self.start)
            self.start = match.end() if match else self.start
            if self.start < len(self.seen):
                return self.seen[self.start]
            if not self.grow(1):
                return ""
