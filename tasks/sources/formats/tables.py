"""CSV as in RFC 4180, and TSV, which has no quotes (https://www.iana.org/assignments/media-types/text/tab-separated-values)."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from tasks.errors import SourceError
from tasks.sources.containers import Entry
from tasks.sources.decoding import Line, decoded_lines, encoding_of
from tasks.sources.fields import meta_of
from tasks.sources.formats.options import ReadingOptions
from tasks.sources.formats.record import OnBad, Record, too_large
from tasks.sources.left_out import LeftOut


def read(entry: Entry, options: ReadingOptions, on_bad: OnBad) -> Iterator[Record]:
    """A record per row; its position is the number of the row, from 1, without the header.

    Raises:
        SourceError: there is no such column.
    """
    is_tsv = options.format == "tsv" or (options.format == "auto" and entry.name.lower().endswith(".tsv"))
    lines = _Lines(decoded_lines(entry.stream, options.max_document_bytes), on_bad)
    # The limit is the whole process's; quotes that are never closed would take the rest of the file.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_document_bytes))
    rows = csv.reader(
        lines, delimiter="\t" if is_tsv else ",", quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL
    )
    header: list[str] = []
    number = 0
    while True:
        lines.begin()
        try:
            row = next(rows, None)
        except csv.Error as error:
            number += 1
            on_bad(str(number), LeftOut("not a row", str(error)))
            continue
        if row is None:
            return
        if not row:
            continue
        if not header:
            header = row if options.header else [str(column + 1) for column in range(len(row))]
            _check_columns(entry.uri, options, header)
            if options.header:
                continue
        number += 1
        problem = _problem(row, header, lines, options)
        if problem:
            on_bad(str(number), problem)
        else:
            fields = dict(zip(header, row, strict=True))
            meta = meta_of(fields, options.meta_fields)
            yield Record(str(number), fields[options.text_field], meta, lines.raw, lines.encoding)


class _Lines:
    """Feeds lines to the CSV reader and remembers those of the row that is being read."""

    def __init__(self, lines: Iterator[Line], on_bad: OnBad) -> None:
        self._lines, self._on_bad = lines, on_bad
        self._row: list[Line] = []

    def begin(self) -> None:
        """A new row begins."""
        self._row = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if line.problem:
                self._on_bad(f"line {line.number}", line.problem)
            else:
                self._row.append(line)
                yield line.text

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return b"".join(line.raw for line in self._row)

    @property
    def encoding(self) -> str:
        """The encoding of the row."""
        return encoding_of(self._row)


def _problem(row: list[str], header: list[str], lines: _Lines, options: ReadingOptions) -> LeftOut | None:
    if len(row) != len(header):
        return LeftOut("ragged row", f"{len(row)} columns, the header has {len(header)}")
    return too_large(options) if len(lines.raw) > options.max_document_bytes else None


def _check_columns(uri: str, options: ReadingOptions, columns: list[str]) -> None:
    for setting, names in (("text_field", [options.text_field]), ("meta_fields", options.meta_fields)):
        for name in names:
            if name not in columns:
                found = ", ".join(columns) or "(none)"
                raise SourceError(f"{uri}: no column {name!r}; the columns are {found}; set {setting}")
