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

SAMPLE = 1 << 16  # characters that are enough to tell
BEGINS_QUOTED = re.compile(r'(?:^|\t)"')

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\t;,]*\r?\n', re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"(\t|\r?\n|\Z)')
_PLAIN = re.compile(r"([^\t\n]*)(\t|\n|\Z)")
_CUT = re.compile(r'"[^"]*(?:""[^"]*)*\Z')
_NUMBER = re.compile(r"[-+.,\d eE%]*\r?")


def stated_separator(line: str) -> str:
    """The separator that a first line such as `sep=;` names; "" for another line."""
    stated = _SEPARATOR_LINE.fullmatch(line)
    return stated[1] if stated else ""


def separator_of(sample: str, usual: str, wanted: Sequence[str], *, header: bool) -> str:
    """What stands between the cells: `usual`, unless the wanted columns are there only with another one.

    A tab in a TSV is stated by its name; in a CSV without a header a comma is one of several.

    Args:
        sample: the beginning of the table; of `SAMPLE` characters or more, the last row may be cut off.
        wanted: names of columns; their numbers, from 1, where the table has no header.

    Raises:
        ValueError: there is no header, and the rows are as long with several separators.
    """
    fitting = []
    for separator in dict.fromkeys((usual, ",", ";", "\t", "|")):
        rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if row]
        if header and rows and set(wanted) <= set(rows[0]):
            return separator
        widths = {len(row) for row in (rows[:-1] if len(sample) >= SAMPLE and len(rows) > 1 else rows)}
        least = max(1 if separator == usual else 2, *map(_number, wanted))
        if not header and len(widths) == 1 and (width := widths.pop()) >= least:
            if separator == "\t" == usual or width == 1:
                return separator
            fitting.append(separator)
    if len(fitting) > 1:
        raise ValueError(
            f"the columns may be parted by {' or '.join(map(repr, fitting))}; write a first line such as "
            "`sep=;` with the right one"
        )
    return fitting[0] if fitting else usual


def is_quoted(sample: str, *, is_start: bool = True, commas_before: bool = False) -> bool:
    """Whether the quotes in a tab-separated sample are around cells, rather than in them.

    All cells that begin with a quote end with one, the rows are equally long, and it could not be meant
    otherwise: a cell has doubled quotes; or without quotes the rows are not equally long; or all cells but
    numbers are quoted; or exactly those with a comma are, as Excel does it.

    Args:
        sample: rows of the table, from the first one that has a cell that begins with a quote.
        is_start: whether that is the first row of all.
        commas_before: whether a cell before it has a comma.
    """
    quoted: list[str] = []
    plain: list[str] = []
    widths, width, at = set[int](), 0, 0
    while at < len(sample):
        if sample[at] == '"':
            cell = _QUOTED.match(sample, at)
            if cell is None and len(sample) >= SAMPLE and _CUT.match(sample, at):
                break
            if cell is None:
                return False
            quoted.append(cell[1])
        else:
            cell = _PLAIN.match(sample, at)
            assert cell is not None
            plain.append(cell[1])
        at, width = cell.end(), width + 1
        if cell[2] != "\t":
            widths.add(width)
            width = 0
    lines = {line.count("\t") for line in sample.split("\n")[:-1] if line.strip()}
    return (
        bool(quoted)
        and len(widths) == 1
        and (
            any('""' in cell for cell in quoted)
            or len(lines) > 1
            or (is_start and all(map(_NUMBER.fullmatch, plain)))
            or (all("," in cell for cell in quoted) and not (commas_before or any("," in c for c in plain)))
        )
    )


def _number(column: str) -> int:
    return int(column) if column.isdecimal() else 1
