"""CSV and TSV as programs write them: with the delimiters of other countries, quoted or not.

CSV is that of RFC 4180. TSV has no quotes (IANA), but Excel and pandas put them around what holds a tab, a
quote or a line end. So a TSV is read with quotes where every quote in it fits and one of them was needed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from corpus.examples.labels import spelled
from corpus.reading.delimited import stated_separator
from corpus.reading.example_files import File
from corpus.reading.rows import Row, wrong

DELIMITERS = ",;\t|"
QUOTED = "files of TSV read with quotes around their fields"

_QUOTED = r'(?<![^{delimiter}\n\r])"((?:[^"]|"")*+)"(?=[{delimiter}\r\n]|\Z)'


class Written(NamedTuple):
    """How a recipe says that tables are written: tab-separated, with a header, by a delimiter ("": look)."""

    tabs: bool
    header: bool
    delimiter: str = ""


def read(file: File, remarks: Counter[str], written: Written, wanted: Collection[str] = ()) -> Iterator[Row]:
    """A row per example; without a header its columns are "1", "2", ….

    A line `sep=;` at the top, as Excel reads it, names the delimiter; so does the recipe. Else it is a tab in
    TSV, and in CSV the one with which the `wanted` columns are there. Columns without a name at the end of
    rows have to be empty.

    Raises:
        CorpusError: a row has too few or too many columns, or is none; a name occurs twice or is not there.
    """
    tabs, header, delimiter = written
    first, text = 1, file.text
    top_line, _, below = text.lstrip("\r\n").partition("\n")
    if declared := stated_separator(f"{top_line}\n"):
        first, text = 1 + text[: len(text) - len(below)].count("\n"), below
        delimiter = delimiter or declared
    delimiter = delimiter or ("\t" if tabs else _likeliest(file, text, header=header, wanted=wanted))
    quoted = not tabs or _has_quotes(text, delimiter)
    if tabs and quoted:
        remarks[QUOTED] += 1
    names, top = list[str](), list[str]()
    for line, cells in _quoted(file, text, first, delimiter) if quoted else _bare(text, first, delimiter):
        if not any(cell.strip() for cell in cells):
            continue  # spreadsheets write rows without anything in them
        if not names:
            names = _names(file, line, cells) if header else [str(number + 1) for number in range(len(cells))]
            if header:
                top = cells
                continue
        elif cells == top:
            raise wrong(file.uri, line, "the header once more; were files joined? Remove the row")
        if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
            raise wrong(file.uri, line, _misfit(cells, names, delimiter))
        yield Row(file.uri, line, {name: cell for name, cell in zip(names, cells, strict=False) if name})


def _names(file: File, line: int, cells: list[str]) -> list[str]:
    names = [spelled(cell) for cell in cells]
    while not names[-1]:
        names.pop()
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise wrong(file.uri, line, f"the column {twice[0]!r} occurs twice in the header; rename one")
    return names


def _misfit(cells: list[str], names: list[str], delimiter: str) -> str:
    others = [other for other in DELIMITERS if other != delimiter and any(other in cell for cell in cells)]
    known = f"; is examples.delimiter {others[0]!r}?" if len(names) == 1 and others else ""
    return (
        f"{len(cells)} columns, where the first row has {len(names)} ({', '.join(names)[:200]}); "
        f"correct or remove the row{known}"
    )


def _likeliest(file: File, text: str, *, header: bool, wanted: Collection[str]) -> str:
    """The delimiter of CSV: the one with which the wanted columns are there, and all rows are as long.

    With a header it may also be the commonest among the columns' names; a comma where nothing is right.
    """
    if header:
        line = text.lstrip("\r\n").split("\n", 1)[0]
        for delimiter in DELIMITERS:
            if set(wanted) <= set(map(spelled, next(csv.reader([line], delimiter=delimiter), []))):
                return delimiter
        return max(DELIMITERS, key=re.sub('"[^"]*"', "", line).count)
    least = max((int(column) for column in wanted if column.isdecimal()), default=1)
    fitting = [delimiter for delimiter in DELIMITERS if _width(text, delimiter) >= max(least, 2)]
    if len(fitting) > 1:
        several = " or ".join(map(repr, fitting))
        raise wrong(file.uri, 1, f"the columns may be parted by {several}; set examples.delimiter")
    return fitting[0] if fitting else ","


def _width(text: str, delimiter: str) -> int:
    """How many columns all rows have, empty rows aside; 0 where they differ."""
    widths = set[int]()
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            widths |= {len(cells)} - {0}
            if len(widths) > 1:
                return 0
    except csv.Error:
        return 0
    return max(widths, default=0)


def _has_quotes(text: str, delimiter: str) -> bool:
    """Whether quotes stand around fields: none stands anywhere else, and one was needed.

    Needed are they around a delimiter, a quote, a line end, for Excel around a comma; or they are around
    every field of a column.
    """
    if '"' not in text:
        return False
    fields = re.compile(_QUOTED.format(delimiter=re.escape(delimiter)))
    outside = fields.sub("", text)
    if '"' in outside:
        return False
    commas = "" if "," in outside else ","
    needed = re.compile(f'["\r\n{commas}{re.escape(delimiter)}]')
    if any(needed.search(match[1]) for match in fields.finditer(text)):
        return True
    rows = [line.split(delimiter) for line in text.split("\n")[1:] if line]
    return any(all(cell.startswith('"') for cell in column) for column in zip(*rows, strict=False))


def _bare(text: str, first: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for line, row in enumerate(text.split("\n"), start=first):
        if row.strip(" \t\r"):
            yield line, row.rstrip("\r").split(delimiter)


def _quoted(file: File, text: str, first: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # The limit is the whole process's.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    # Quotes after a delimiter and a space would be text, and the delimiters between them would part it.
    spaced = f'{delimiter} "' in text.split("\n", 1)[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=spaced
    )
    line = first
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise wrong(
                file.uri, line, f"not a row of CSV ({error}); correct the quotes from here on"
            ) from error
        if cells is None:
            return
        if cells:
            yield line, cells
        line = first + rows.line_num
