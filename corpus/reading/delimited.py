"""How the rows of a table in text are written: what stands between cells, and whether quotes mean anything.

A CSV may have semicolons (Excel writes them where the comma is the decimal point) or say `sep=;` first. TSV
as registered has no quotes, and corpora have quotation marks at the beginning of a cell; Excel and pandas
write quotes around cells that hold quotes, tabs or line ends. Which it is shows in the cells themselves.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

from corpus.reading.spelling import spelled

DELIMITERS = ",;\t|"

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\t;,]*(?:\r?\n)?', re.IGNORECASE)
_CUT = re.compile(r'"[^"]*(?:""[^"]*)*\Z')
_QUOTED = re.compile('"[^"]*"')
_NUMBER = re.compile(r"[-+.,\d eE%]*\r?")


class Dialect(NamedTuple):
    """How a table is written: with quotes around cells or not, with a header, in which encoding."""

    delimiter: str
    is_quoted: bool
    header: bool
    encoding: str


class TableLines(NamedTuple):
    """Lines of a table; when they are not all, the last row may be cut off."""

    text: str
    is_cut: bool


def stated_separator(line: str) -> str:
    """The separator that a first line such as `sep=;` names; "" for another line."""
    stated = _SEPARATOR_LINE.fullmatch(line)
    return stated[1] if stated else ""


def separator_of(sample: TableLines, usual: str, wanted: Sequence[str], *, header: bool, strict: bool) -> str:
    """What stands between the cells: `usual`, unless the wanted columns are there only with another one.

    Where no separator gives them, it is the commonest of the first line. A tab in a TSV is stated by its
    name; in a CSV without a header a comma is one of several.

    Args:
        sample: the beginning of the table.
        wanted: names of columns; their numbers, from 1, where the table has no header.
        strict: quotes that don't fit are no quotes.

    Raises:
        ValueError: there is no header, and the rows are as long with several separators.
    """
    separators = dict.fromkeys(usual + DELIMITERS)
    text = sample.text.lstrip("\r\n")
    line = _QUOTED.sub("", text.partition("\n")[0])
    if header and wanted:
        for separator in separators:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
            if set(wanted) <= set(map(spelled, names)):
                return separator
    if usual == "\t" and usual in line:
        return usual
    if header:
        return max(separators, key=line.count)
    least = max((int(column) for column in wanted if column.isdecimal()), default=1)
    fitting = []
    for separator in separators:
        width = _width(sample, separator, strict=strict)
        if separator == usual and width == 1 >= least:
            return separator
        if width >= max(least, 2):
            fitting.append(separator)
    if len(fitting) > 1:
        raise ValueError(f"the columns may be parted by {' or '.join(map(repr, fitting))}")
    return fitting[0] if fitting else usual


def _width(sample: TableLines, separator: str, *, strict: bool) -> int:
    """How many columns all rows have, empty rows aside; 0 where they differ."""
    rows = csv.reader(io.StringIO(sample.text, newline=""), delimiter=separator, strict=strict)
    try:
        widths = [len(row) for row in rows if row]
    except csv.Error:
        return 0
    found = set(widths[:-1] if sample.is_cut and len(widths) > 1 else widths)
    return found.pop() if len(found) == 1 else 0


def is_quoted(
    sample: TableLines, delimiter: str, *, width: int = 0, is_start: bool = True, commas_before: bool = False
) -> bool:
    """Whether the quotes in a sample of TSV are around cells, rather than in them.

    No quote is inside a cell without quotes around it, the rows are equally long, and it could not be meant
    otherwise: a cell has doubled quotes; or without quotes the rows are not equally long; or all cells of a
    column, or all but numbers, are quoted; or exactly those with a comma are, as Excel does it.

    Args:
        sample: rows of the table, from the first one that has a quote.
        width: columns of the rows before; 0: there are none.
        is_start: whether none but a header is before.
        commas_before: whether a cell before has a comma.
    """
    between = re.escape(delimiter)
    around = re.compile(rf'"([^"]*(?:""[^"]*)*)"({between}|\r?\n|\Z)')
    without = re.compile(rf"([^{between}\n]*)({between}|\n|\Z)")
    text = sample.text
    quoted: list[str] = []
    plain: list[str] = []
    widths, at, columns = {width} - {0}, 0, 0
    while at < len(text):
        is_around = text[at] == '"'
        cell = (around if is_around else without).match(text, at)
        if cell is None and sample.is_cut and _CUT.match(text, at):
            break
        if cell is None or (not is_around and '"' in cell[1]):
            return False
        (quoted if is_around else plain).append(cell[1])
        at, columns = cell.end(), columns + 1
        if cell[2] != delimiter:
            widths |= {columns} if columns > 1 or cell[1].strip() else set()
            columns = 0
    lines = [line.split(delimiter) for line in text.split("\n") if line.strip()]
    if sample.is_cut:
        lines = lines[:-1]
    return (
        bool(quoted)
        and len(widths) == 1
        and (
            any('""' in cell for cell in quoted)
            or len({len(cells) for cells in lines} | widths) > 1
            or (not width and all(map(_NUMBER.fullmatch, plain)))
            or (is_start and _has_quoted_column(lines[1:]))
            or (all("," in cell for cell in quoted) and not (commas_before or any("," in c for c in plain)))
        )
    )


def _has_quoted_column(lines: Sequence[Sequence[str]]) -> bool:
    return any(all(cell.startswith('"') for cell in column) for column in zip(*lines, strict=False))
