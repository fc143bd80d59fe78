"""The head of a file of examples: enough rows to tell what is in it, read as a run will read them.

What the name does not tell shows in the content: which format it is, whether the first line of a table names
its columns, and what stands before every word of CoNLL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.errors import CorpusError
from corpus.reading.delimited import DELIMITERS, Dialect
from corpus.reading.example_files import File, files_of
from corpus.reading.formats import format_of, row_formats
from corpus.reading.rows import RowOptions, place
from corpus.reading.skipped import Skipped

MOST_BYTES = 16_000_000  # of a file, after unpacking
MOST_ROWS = 100_000
SQUAD_BYTES = 256_000_000  # it is one JSON object, and can't be read in part
TEXT = "text"  # lines without columns: one of two parallel files

Values = Mapping[str, Any]
Advance = Callable[[int], None]
"""Called with the number of rows that are read."""

_OF_CONLL = ("words", "tags")
_LOOKED_AT = 1 << 16  # characters that tell a format
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_PREFIX = re.compile(r"[a-z]{2,3}:")
_NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?")
_LONGEST_NAME, _MOST_WORDS = 60, 6  # of a column
_EVERY = 1000
# A reader comes upon these where a file was cut off.
_AT_A_CUT = ("damaged", "not a row")


@dataclass(frozen=True)
class Sample:
    """The first rows of the files that one path names.

    `format` is that of a recipe, and `is_named` says whether the files' names tell it too. `has_more` says
    that there are more rows than these. `fault` is where a run would stop reading, and why, without a word
    of the file.
    """

    path: str
    format: str
    is_named: bool
    encodings: tuple[str, ...]
    rows: Sequence[Values]
    has_more: bool = False
    fault: str = ""
    header: bool = True
    delimiter: str = ""
    states_delimiter: bool = False
    strip_prefix: str = ""
    files: int = 1


@dataclass
class _Reading:
    """How the rows of a file are read, and what came of it."""

    format: str
    header: bool = True
    delimiter: str = ""
    strip_prefix: str = ""
    found: str = ""  # what stands between the columns

    def rows(self, file: File, most: int, advance: Advance, so_far: int = 0) -> tuple[list[Values], str]:
        """At most so many rows, and the fault that ended them, if one did."""

        def note(dialect: Dialect) -> None:
            self.found = dialect.delimiter

        options = RowOptions(
            {}, SQUAD_BYTES, self.format, self.header, self.delimiter, self.strip_prefix, note
        )
        rows: list[Values] = []
        is_conll = self.format == "conll"
        try:
            for row in row_formats()[self.format].rows(file.entry, options, None):
                # Beside words and tags CoNLL has numbered columns and what follows from these two.
                rows.append({name: row.values[name] for name in _OF_CONLL} if is_conll else row.values)
                if len(rows) % _EVERY == 0:
                    advance(so_far + len(rows))
                if len(rows) >= most:
                    break
        except Skipped as problem:
            return rows, f"{problem.reason} ({place(file.uri, problem.line)})"
        return rows, ""


def sampled(path: str, advance: Advance = lambda rows: None) -> Sample:
    """The first rows of the files that a path, glob or URL names; none of a file of lines without columns.

    Raises:
        CorpusError: there is no file, or one can't be read; with the way out.
    """
    return _sampled(path, advance, MOST_BYTES)


def _sampled(path: str, advance: Advance, most: int) -> Sample:
    rows: list[Values] = []
    reading: _Reading | None = None
    fault, has_more, encodings, files, is_named = "", False, dict[str, None](), 0, True
    for file in files_of(path, most):
        files += 1
        encodings[file.encoding] = None
        if reading is None:
            name = format_in(file.name, file.text[:_LOOKED_AT])
            is_named = format_of(file.name, "auto", row_formats()) == name
            if name == "squad" and file.is_cut and most < SQUAD_BYTES:
                return _sampled(path, advance, SQUAD_BYTES)
            if name == TEXT:
                return Sample(path, TEXT, False, tuple(encodings), [], file.is_cut)
            reading = _reading_of(file, name)
        more, why = reading.rows(file, MOST_ROWS - len(rows), advance, len(rows))
        rows += more
        if not (file.is_cut and why.startswith(_AT_A_CUT)):
            fault = fault or why
        has_more = has_more or file.is_cut or len(rows) >= MOST_ROWS
        if len(rows) >= MOST_ROWS:
            break
    if reading is None or not rows:
        raise CorpusError(f"{path}: no row can be read from it{f': {fault}' if fault else ''}")
    return Sample(
        path,
        reading.format,
        is_named,
        tuple(encodings),
        rows,
        has_more,
        fault,
        reading.header,
        reading.found,
        bool(reading.delimiter),
        reading.strip_prefix,
        files,
    )


def format_in(name: str, text: str) -> str:
    """The format of a file by its name, or, where that tells none, by its first characters."""
    named = format_of(name, "auto", row_formats())
    start = text.lstrip()
    if named == "json" and start.startswith("{") and '"paragraphs"' in text and '"qas"' in text:
        return "squad"
    if named and named != TEXT:
        return named
    if start.startswith(("{", "[{", "[\n", "[\r")):
        return "json"
    lines = text.split("\n")[:-1] or [text]
    filled = [line.rstrip("\r") for line in lines if line.strip()]
    if _is_conll(filled, has_gaps=len(filled) < len(lines)):
        return "conll"
    for delimiter in "\t" + DELIMITERS.replace("\t", ""):
        # A comma stands in any text; the others hardly ever stand in each line.
        fewest = 1 if delimiter != "," else 2
        counts = {line.count(delimiter) for line in filled}
        if filled and min(counts) >= fewest and (delimiter == "\t" or len(counts) == 1):
            return "tsv" if delimiter == "\t" else "csv"
    return TEXT


def _is_conll(lines: Sequence[str], *, has_gaps: bool) -> bool:
    """Whether each line is a word with as many columns as the others have, and a tag as the last one."""
    cells = [line.split("\t") if "\t" in line else line.split(" ") for line in lines if line[0] != "#"]
    cells = [row for row in cells if row[0] != "-DOCSTART-"]
    if not cells or len(cells[0]) < 2 or len({len(row) for row in cells}) > 1:
        return False
    tagged = sum(bool(_TAG.fullmatch(row[-1].strip())) for row in cells)
    return tagged == len(cells) or (
        has_gaps and not any(" " in cell.strip() for row in cells for cell in row)
    )


def _reading_of(file: File, name: str) -> _Reading:
    if name == "conll":
        starts = {line[: line.find(":") + 1] for line in file.text.split("\n") if line.strip()}
        prefix = starts.pop() if len(starts) == 1 else ""
        return _Reading(name, strip_prefix=prefix if _PREFIX.fullmatch(prefix) else "")
    reading = _Reading(name)
    if name not in ("csv", "tsv", "excel"):
        return reading
    rows, fault = reading.rows(file, _EVERY, lambda rows: None)
    if (rows and _names_columns(rows)) or (not rows and not fault.startswith("repeated column")):
        return reading
    bare = _Reading(name, header=False)
    if not bare.rows(file, 1, lambda rows: None)[0]:
        bare.delimiter = reading.found  # several would do
    return bare


def _names_columns(rows: Sequence[Values]) -> bool:
    """Whether the first line, by which the values are named here, is one of names and not of values."""
    for name in rows[0]:
        if _NUMBER.fullmatch(name) or len(name) > _LONGEST_NAME or len(name.split()) > _MOST_WORDS:
            return False
        if any(str(row.get(name, "")).strip() == name for row in rows):
            return False
    return True
