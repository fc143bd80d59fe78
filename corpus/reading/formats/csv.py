"""CSV as in RFC 4180, and TSV, with quotes or without; how they are written is in delimited.py."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from corpus.errors import SourceError
from corpus.reading.containers import Entry
from corpus.reading.decoding import Line, decoded_lines, encoding_of
from corpus.reading.delimited import (
    DELIMITERS,
    Dialect,
    TableLines,
    is_quoted,
    separator_of,
    stated_separator,
)
from corpus.reading.record import OnSkipped, too_large
from corpus.reading.rows import Row, RowOptions, documents_of, skip
from corpus.reading.skipped import Skipped
from corpus.reading.spelling import spelled

SUFFIXES = {"csv": (".csv",), "tsv": (".tsv", ".tab")}

_SAMPLE = 1 << 16  # characters that are enough to tell, where not all are looked at


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per row; its position is its number, from 1, without the header.

    Without a header the columns are "1", "2", …. Columns without a name at the end of rows have to be empty.
    A strict reader tells by all of the table how it is written, and refuses quotes that don't fit.

    Raises:
        SourceError: a wanted column is not there or there twice, or what parts them can't be told.
        Skipped: strict, and a row is none, or has too few or too many columns, or a name occurs twice.
    """
    strict = on_skipped is None
    # The limit is the whole process's; quotes that are never closed would take the rest of the file.
    csv.field_size_limit(max(csv.field_size_limit(), options.limit))
    lines = _Lines(decoded_lines(entry.stream, options.limit), on_skipped)
    look = options.limit if strict else _SAMPLE
    is_tsv = options.format == "tsv" or (
        options.format == "auto" and entry.name.lower().endswith(SUFFIXES["tsv"])
    )
    delimiter = _delimiter(entry, lines, options, look, usual="\t" if is_tsv else ",", strict=strict)
    dialect = Dialect(delimiter, not is_tsv and delimiter != "\t", options.header, lines.encoding_ahead)
    options.on_dialect(dialect)
    # Until there is a quote, rows are the same with quotes and without.
    is_open = not dialect.is_quoted
    cells_of = _bare(lines, delimiter) if is_open else _quoted(lines, delimiter, strict=strict)
    names, top = list[str](), list[str]()
    number, commas = 0, False
    while True:
        lines.begin()
        if is_open and '"' in lines.next:
            is_open = False
            sample = lines.ahead(look)
            if is_quoted(sample, delimiter, width=len(top), is_start=not number, commas_before=commas):
                options.on_dialect(dialect._replace(is_quoted=True))
                cells_of = _quoted(lines, delimiter, strict=strict)
        try:
            cells = next(cells_of, None)
        except csv.Error as error:
            number += 1
            detail = f"not a row of CSV ({error}); correct the quotes from here on"
            skip(on_skipped, str(number), Skipped("not a row", detail, lines.first))
            continue
        if cells is None:
            return
        commas = commas or any("," in cell for cell in cells)
        # Spreadsheets write rows without anything in them; as documents they are counted.
        if not cells or ((strict or not names) and not any(cell.strip() for cell in cells)):
            continue
        if not names:
            top = cells
            names = _names(cells, header=options.header)
            _check_names(entry, options, names, lines.first, strict=strict)
            if options.header:
                continue
        number += 1
        if problem := _problem(cells, names, top, delimiter, lines, options):
            skip(on_skipped, str(number), problem)
        else:
            values = {name: cell for name, cell in zip(names, cells, strict=False) if name}
            at, raw, encoding = str(number), lines.raw, lines.encoding
            yield Row(entry.uri, lines.first, values, position=at, raw=raw, encoding=encoding)


read = documents_of(rows)


class _Lines:
    """Feeds lines to the reader of cells and remembers those of the row that is being read."""

    def __init__(self, lines: Iterator[Line], on_skipped: OnSkipped | None) -> None:
        self._lines, self._on_bad = lines, on_skipped
        self._ahead: deque[Line] = deque()
        self._row: list[Line] = []
        self.is_at_end = False

    def ahead(self, characters: int) -> TableLines:
        """The text of the next lines, up to the one that brings it to so many characters."""
        size = sum(len(line.text) for line in self._ahead)
        while size < characters and (line := next(self._lines, None)):
            self._ahead.append(line)
            size += len(line.text)
        return TableLines("".join(line.text for line in self._ahead), is_cut=size >= characters)

    @property
    def next(self) -> str:
        """The text of the next line; "" at the end."""
        if not self._ahead and (line := next(self._lines, None)):
            self._ahead.append(line)
        return self._ahead[0].text if self._ahead else ""

    @property
    def encoding_ahead(self) -> str:
        """The encoding of the lines that were looked at."""
        return encoding_of(self._ahead)

    def begin(self) -> None:
        """A new row begins."""
        self._row = []

    def __iter__(self) -> Iterator[str]:
        while line := self._ahead.popleft() if self._ahead else next(self._lines, None):
            if line.problem:
                problem = Skipped(line.problem.reason, line.problem.detail, line.number)
                skip(self._on_bad, f"line {line.number}", problem)
            else:
                self._row.append(line)
                yield line.text
        self.is_at_end = True

    @property
    def is_unclosed(self) -> bool:
        """Whether the row has taken all lines to the end of the file, looking for a quote that closes."""
        quotes = sum(line.text.count('"') for line in self._row) if self.is_at_end else 0
        return len(self._row) > 1 and quotes % 2 == 1

    @property
    def first(self) -> int:
        """The number of the row's first line."""
        return self._row[0].number if self._row else 0

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return b"".join(line.raw for line in self._row)

    @property
    def encoding(self) -> str:
        """The encoding of the row."""
        return encoding_of(self._row)


def _delimiter(
    entry: Entry, lines: _Lines, options: RowOptions, look: int, *, usual: str, strict: bool
) -> str:
    """What the recipe says, or a line `sep=;` as Excel reads it; else what the table looks like."""
    taken = iter(lines)
    while lines.next and not lines.next.strip("\r\n"):
        next(taken)
    if stated := stated_separator(lines.next):
        next(taken)
    if known := options.delimiter or stated:
        return known
    try:
        wanted = options.columns
        return separator_of(lines.ahead(look), usual, wanted, header=options.header, strict=strict)
    except ValueError as error:
        if strict:
            raise Skipped("unclear columns", f"{error}; set examples.delimiter", 1) from error
        way_out = "write a first line such as `sep=;` with the right one"
        raise SourceError(f"{entry.uri}: {error}; {way_out}") from error


def _bare(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    for line in lines:
        text = line.rstrip("\r\n")
        yield text.split(delimiter) if text else []


def _quoted(lines: _Lines, delimiter: str, *, strict: bool) -> Iterator[list[str]]:
    # Quotes after a delimiter and a space would be text, and the delimiters between them would part it.
    spaced = f'{delimiter} "' in lines.next
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=spaced)


def _names(cells: list[str], *, header: bool) -> list[str]:
    if header:
        return _without_trailing_blanks([spelled(cell) for cell in cells])
    return [str(number) for number in range(1, len(cells) + 1)]


def _without_trailing_blanks(cells: list[str]) -> list[str]:
    """Without the empty columns that spreadsheets write behind the last one."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _check_names(entry: Entry, options: RowOptions, names: list[str], line: int, *, strict: bool) -> None:
    if not strict:
        options.check(entry.uri, names)
    for name in filter(None, names) if strict else options.columns:
        if (count := names.count(name)) > 1 and strict:
            detail = f"the column {name!r} occurs twice in the header; rename one"
            raise Skipped("repeated column", detail, line)
        if count > 1:
            raise SourceError(f"{entry.uri}: {count} columns are called {name!r}; rename all but one")


def _problem(
    cells: list[str], names: list[str], top: list[str], delimiter: str, lines: _Lines, options: RowOptions
) -> Skipped | None:
    if lines.is_unclosed:
        return Skipped("not a row", "a quote is opened and never closed; the rest of the file is in it")
    if options.header and cells == top:
        detail = "the header once more; were files joined? Remove the row"
        return Skipped("not a row", detail, lines.first)
    if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
        others = [one for one in DELIMITERS if one != delimiter and any(one in cell for cell in cells)]
        known = f"; is the delimiter {others[0]!r}?" if len(names) == 1 and others else ""
        detail = (
            f"{len(cells)} columns, where the first row has {len(names)} ({', '.join(names)[:200]}); "
            f"correct or remove the row{known}"
        )
        return Skipped("ragged row", detail, lines.first)
    return too_large(options.limit) if len(lines.raw) > options.limit else None
