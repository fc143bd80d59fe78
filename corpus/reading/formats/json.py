"""A JSON file: one object, an array of objects, or some of both one after the other, read as a stream."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from corpus.reading.containers import Entry
from corpus.reading.decoding import codec_of_head
from corpus.reading.formats.jsonl import json_record
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped

SUFFIXES = {"json": (".json",)}
LIBRARIES = ()
META = ()

_BLOCK = 1 << 17
# Files that were joined have a byte-order mark where the second one begins.
_BETWEEN = re.compile(r"[\s,\ufeff]*")
_LONGEST_TOKEN = len("-Infinity") + 1
_DECODER = json.JSONDecoder()


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per object; its position is its number, from 1.

    Raises:
        Skipped: what comes from here on is no JSON, or a value is too large.
    """
    codec = codec_of_head(entry.stream.peek(_BLOCK))
    encoding = codec.removesuffix("-sig")
    for number, (value, written) in enumerate(_values(entry, codec, options), start=1):
        try:
            raw = written.encode("utf-8", "surrogatepass")
            yield json_record(str(number), value, options, raw, encoding)
        except Skipped as problem:
            on_skipped(str(number), problem)


def _values(entry: Entry, codec: str, options: ReadingOptions) -> Iterator[tuple[object, str]]:
    """Each value of the outermost arrays, or each outermost value, and how it is written."""
    text = _Window(entry.stream, codec)
    is_in_array = False
    while following := text.next(_BETWEEN):
        if following == ("]" if is_in_array else "["):
            is_in_array = not is_in_array
            text.start += 1
        else:
            yield _next_value(text, options)
    if is_in_array:
        raise Skipped("damaged", "the array is not closed")


def _next_value(text: _Window, options: ReadingOptions) -> tuple[object, str]:
    while True:
        try:
            value, end = _DECODER.raw_decode(text.seen, text.start)
        except RecursionError:
            raise Skipped("not JSON", "nested too deeply") from None
        except json.JSONDecodeError as error:
            if not _may_go_on(error):
                raise Skipped("not JSON", error.msg) from error
            if len(text.seen) - text.start > options.max_document_bytes:
                raise too_large(options) from error
            # Doubling what is looked at keeps the work linear.
            if not text.grow(len(text.seen) - text.start):
                raise Skipped("damaged", f"the file ends in a value: {error.msg}") from error
            continue
        except ValueError as error:  # a number of thousands of digits
            raise Skipped("not JSON", str(error)) from error
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
        self.seen, self.start = self.seen[self.start :] + added, 0
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
