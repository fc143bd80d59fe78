"""JSON lines: an object per line, each in its own encoding where a file mixes them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from corpus.reading.containers import Entry
from corpus.reading.decoding import decoded_lines
from corpus.reading.formats.json import object_in
from corpus.reading.formats.json import rows as values
from corpus.reading.record import OnSkipped
from corpus.reading.rows import Row, RowOptions, documents_of
from corpus.reading.skipped import Skipped

SUFFIXES = {"jsonl": (".jsonl", ".ndjson")}


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per line that is not blank; its position is the number of the line.

    Objects behind each other are JSON lines too. Lines are there to find the next object behind a damaged
    one, which a strict reader never looks for.
    """
    if on_skipped is None:
        yield from values(entry, options)
        return
    for line in decoded_lines(entry.stream, options.limit):
        position = str(line.number)
        try:
            if line.problem:
                raise line.problem
            # Files that were joined have a byte-order mark where the second one begins.
            if text := line.text.strip("\ufeff \t\r\n"):
                found = object_in(_parsed(text))
                raw, encoding = line.raw, line.encoding
                yield Row(entry.uri, line.number, found, position=position, raw=raw, encoding=encoding)
        except Skipped as problem:
            on_skipped(position, problem)


read = documents_of(rows)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise Skipped("not JSON", "nested too deeply") from None
    except ValueError as error:
        raise Skipped("not JSON", str(error)) from error
