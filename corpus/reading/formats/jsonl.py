"""JSON lines: an object per line, each in its own encoding where a file mixes them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from corpus.reading.containers import Entry
from corpus.reading.decoding import decoded_lines
from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record
from corpus.reading.skipped import Skipped

SUFFIXES = {"jsonl": (".jsonl", ".ndjson")}
LIBRARIES = ()
META = ()


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per line that is not blank; its position is the number of the line."""
    for line in decoded_lines(entry.stream, options.max_document_bytes):
        position = str(line.number)
        try:
            if line.problem:
                raise line.problem
            # Files that were joined have a byte-order mark where the second one begins.
            if text := line.text.strip("\ufeff \t\r\n"):
                yield json_record(position, parsed(text), options, line.raw, line.encoding)
        except Skipped as problem:
            on_skipped(position, problem)


def parsed(text: str) -> object:
    """The JSON value that is written in `text`.

    Raises:
        Skipped: there is none, or it is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise Skipped("not JSON", "nested too deeply") from None
    except ValueError as error:
        raise Skipped("not JSON", str(error)) from error


def json_record(position: str, value: object, options: ReadingOptions, raw: bytes, encoding: str) -> Record:
    """The record in a JSON value.

    Raises:
        Skipped: it is no object, or has no text where the recipe says.
    """
    if not isinstance(value, dict):
        raise Skipped("no object", f"a JSON {type(value).__name__}, not an object")
    text = text_of(value, options.text_field)
    return Record(position, text, meta_of(value, options.meta_fields), raw, encoding)
