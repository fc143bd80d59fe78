"""Plain text: the whole file, or each of its lines, paragraphs or parts with a heading, is a record.

An example is always the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO

from corpus.reading.containers import Entry
from corpus.reading.decoding import Line, decode, decoded_lines, encoding_of
from corpus.reading.options import Division, ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.rows import Row, RowOptions

SUFFIXES = {"text": (".txt", ".text", ".md")}

# `= Title =` as in WikiText, but not `= = Section = =`, or `# Title` as in Markdown.
_HEADING = re.compile(r"\s*(=\s[^=\s].*\s=|#\s+\S.*)\s*$")


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """The records of a text file; only one of them is in memory at a time.

    Raises:
        Skipped: the whole file is one record, and can't be used.
    """
    if options.document == "whole":
        raw = entry.stream.read(options.max_document_bytes + 1)
        if len(raw) > options.max_document_bytes:
            raise too_large(options.max_document_bytes)
        text, encoding = decode(raw)
        yield Record("", text, raw=raw, encoding=encoding)
    else:
        yield from _parts(decoded_lines(entry.stream, options.max_document_bytes), options, on_skipped)


def divided(record: Record, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """The documents in a record of another format: `record.text` by lines, paragraphs or headings."""
    if options.document == "whole" or not record.text.strip():
        yield record
        return
    lines = decoded_lines(_Peekable(record.text.encode("utf-8", "replace")), options.max_document_bytes)

    def place(position: str) -> str:
        return f"{record.position}.{position}".lstrip(".")

    for part in _parts(lines, options, lambda position, problem: on_skipped(place(position), problem)):
        yield replace(record, position=place(part.position), text=part.text, raw=part.raw)


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """One row: the `text` of the file, without the blanks around it."""
    text, encoding = decode(entry.stream.read())
    yield Row(entry.uri, 0, {"text": text.strip()}, encoding=encoding)


class _Peekable(BytesIO):
    """Bytes that can be looked at without reading them."""

    def peek(self, size: int = -1) -> bytes:
        return self.getvalue()[:size]


def _parts(lines: Iterable[Line], options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """The position of a part is the number of its first line."""
    part: list[Line] = []
    size, after_blank = 0, False
    for line in lines:
        if line.problem:
            on_skipped(str(line.number), line.problem)
            continue
        is_blank = not line.text.strip()
        if part and _begins(line.text, options.document, after_blank and not is_blank):
            yield from _closed(part, size, options, on_skipped)
            part, size = [], 0
        after_blank = is_blank
        size += len(line.raw)
        # Of a part that is too large only the place is kept.
        if size <= options.max_document_bytes or not part:
            part.append(line)
    yield from _closed(part, size, options, on_skipped)


def _begins(line: str, division: Division, is_new_paragraph: bool) -> bool:
    if division == "heading":
        return bool(_HEADING.match(line))
    return is_new_paragraph if division == "paragraph" else True


def _closed(part: list[Line], size: int, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    text = "".join(line.text for line in part).lstrip("\r\n").rstrip()
    if size > options.max_document_bytes:
        on_skipped(str(part[0].number), too_large(options.max_document_bytes))
    elif text:
        raw = b"".join(line.raw for line in part)
        yield Record(str(part[0].number), text, raw=raw, encoding=encoding_of(part))
