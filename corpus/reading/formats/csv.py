"""CSV as in RFC 4180, and TSV, with quotes or without; how they are written is in delimited.py."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from corpus.errors import SourceError
from corpus.reading.containers import Entry
from corpus.reading.decoding import Line, decoded_lines, encoding_of
from corpus.reading.delimited import BEGINS_QUOTED, SAMPLE, is_quoted, separator_of, stated_separator
from corpus.reading.dotted_paths import meta_of
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped

SUFFIXES = {"csv": (".csv",), "tsv": (".tsv",)}
LIBRARIES = ()
META = ()


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per row; its position is the number of the row, from 1, without the header.

    Raises:
        SourceError: there is no such column, or what parts them can't be told.
    """
    is_tsv = options.format == "tsv" or (options.format == "auto" and entry.name.lower().endswith(".tsv"))
    lines = _Lines(decoded_lines(entry.stream, options.max_document_bytes), on_skipped)
    # The limit is the whole process's; quotes that are never closed would take the rest of the file.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_document_bytes))
    separator = stated_separator(lines.ahead(1))
    if separator:
        next(iter(lines))
    else:
        wanted = [options.text_field, *options.meta_fields]
        usual = "\t" if is_tsv else ","
        try:
            separator = separator_of(lines.ahead(SAMPLE), usual, wanted, header=options.header)
        except ValueError as error:
            raise SourceError(f"{entry.uri}: {error}") from error
    is_open = separator == "\t"  # until a cell begins with a quote, rows are the same with quotes and without
    rows = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if is_open else csv.QUOTE_MINIMAL)
    header: list[str] = []
    number, commas = 0, False
    while True:
        lines.begin()
        if is_open and BEGINS_QUOTED.search(lines.ahead(1)):
            is_open = False
            if is_quoted(lines.ahead(SAMPLE), is_start=not header and not number, commas_before=commas):
                rows = csv.reader(lines, delimiter=separator)
        try:
            row = next(rows, None)
        except csv.Error as error:
            number += 1
            on_skipped(str(number), Skipped("not a row", str(error)))
            continue
        if row is None:
            return
        commas = commas or any("," in cell for cell in row)
        if not row:
            continue
        if not header:
            if not (header := _without_trailing_blanks(row)):
                continue
            header = header if options.header else [str(column + 1) for column in range(len(row))]
            _check_columns(entry.uri, options, header)
            if options.header:
                continue
        number += 1
        row = row[: len(header)] + _without_trailing_blanks(row[len(header) :])
        problem = _problem(row, header, lines, options)
        if problem:
            on_skipped(str(number), problem)
        else:
            fields = dict(zip(header, row, strict=True))
            meta = meta_of(fields, options.meta_fields)
            yield Record(str(number), fields[options.text_field], meta, lines.raw, lines.encoding)


class _Lines:
    """Feeds lines to the CSV reader and remembers those of the row that is being read."""

    def __init__(self, lines: Iterator[Line], on_skipped: OnSkipped) -> None:
        self._lines, self._on_bad = lines, on_skipped
        self._ahead: deque[Line] = deque()
        self._row: list[Line] = []
        self.is_at_end = False

    def ahead(self, characters: int) -> str:
        """The text of the next lines, up to the one that brings it to so many characters."""
        size = sum(len(line.text) for line in self._ahead)
        while size < characters and (line := next(self._lines, None)):
            self._ahead.append(line)
            size += len(line.text)
        return "".join(line.text for line in self._ahead)

    def begin(self) -> None:
        """A new row begins."""
        self._row = []

    def __iter__(self) -> Iterator[str]:
        while line := self._ahead.popleft() if self._ahead else next(self._lines, None):
            if line.problem:
                self._on_bad(f"line {line.number}", line.problem)
            else:
                self._row.append(line)
                yield line.text
        self.is_at_end = True

    @property
    def is_unclosed(self) -> bool:
        """Whether the row has taken all lines to the end of the file, looking for a quote that closes."""
        text = "".join(line.text for line in self._row)
        return self.is_at_end and len(self._row) > 1 and text.count('"') % 2 == 1

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return b"".join(line.raw for line in self._row)

    @property
    def encoding(self) -> str:
        """The encoding of the row."""
        return encoding_of(self._row)


def _without_trailing_blanks(cells: list[str]) -> list[str]:
    """Without the empty columns that spreadsheets write behind the last one."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _problem(row: list[str], header: list[str], lines: _Lines, options: ReadingOptions) -> Skipped | None:
    if lines.is_unclosed:
        return Skipped("not a row", "a quote is opened and never closed; the rest of the file is in it")
    if len(row) != len(header):
        return Skipped("ragged row", f"{len(row)} columns, the header has {len(header)}")
    return too_large(options) if len(lines.raw) > options.max_document_bytes else None


def _check_columns(uri: str, options: ReadingOptions, columns: list[str]) -> None:
    for setting, names in (("text_field", [options.text_field]), ("meta_fields", options.meta_fields)):
        for name in names:
            if name not in columns:
                found = ", ".join(columns) or "(none)"
                raise SourceError(f"{uri}: no column {name!r}; the columns are {found}; set {setting}")
            if columns.count(name) > 1:
                raise SourceError(
                    f"{uri}: {columns.count(name)} columns are called {name!r}; rename all but one"
                )
