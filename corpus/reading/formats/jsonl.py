"""JSON lines: an object per line, each in its own encoding where a file mixes them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from corpus.reading.containers import Entry
from corpus.reading.decoding import decoded_lines
from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.left_out import LeftOut
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnBad, Record

SUFFIXES = {"jsonl": (".jsonl", ".ndjson")}
LIBRARIES = ()
META = ()


def read(entry: Entry, options: ReadingOptions, on_bad: OnBad) -> Iterator[Record]:
    """A record per line that is not blank; its position is the number of the line."""
    for line in decoded_lines(entry.stream, options.max_document_bytes):
        position = str(line.number)
        try:
            if line.problem:
                raise line.problem
            # Files that were joined have a byte-order mark where the second one begins.
            if text := line.text.strip("\ufeff \t\r\n"):
                yield json_record(position, parsed(text), options, line.raw, line.encoding)
        except LeftOut as problem:
            on_bad(position, problem)


def parsed(text: str) -> object:
    """The JSON value that is written in `text`.

    Raises:
        LeftOut: there is none, or it is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise LeftOut("not JSON", "nested too deeply") from None
    except ValueError as error:
        raise LeftOut("not JSON", str(error)) from error


def json_record(position: str, value: object, options: ReadingOptions, raw: bytes, encoding: str) -> Record:
    """The record in a JSON value.

    Raises:
        LeftOut: it is no object, or has no text where the recipe says.
    """
    if not isinstance(value, dict):
        raise LeftOut("no object", f"a JSON {type(value).__name__}, not an object")
    text = text_of(value, options.text_field)
    return Record(position, text, meta_of(value, options.meta_fields), raw, encoding)
