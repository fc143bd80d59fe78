"""CoNLL's columns: a word per line with what is said about it, a blank line between sentences.

Columns are separated by tabs (then words may have spaces in them, and lines that begin with `#` are
comments, as in CoNLL-U) or by spaces (as in CoNLL-2003). A no-break or an ideographic space stands inside a
word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from corpus.reading.containers import Entry
from corpus.reading.decoding import decode
from corpus.reading.record import OnSkipped
from corpus.reading.rows import Row, RowOptions
from corpus.reading.skipped import Skipped

SUFFIXES = {"conll": (".conll", ".bio", ".iob", ".iob2")}

_DOCUMENT = "-DOCSTART-"
_SPACES = re.compile(" +")


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per sentence: each column, from "1", is a list; so are `words`, the first, and `tags`, the last.

    `text` are the words in a row, and `types` what kinds of entities the tags name.

    Raises:
        Skipped: a line has one column, or another number than the one before it.
    """
    text, _ = decode(entry.stream.read())
    lines = [line.rstrip("\r").removeprefix(options.strip_prefix) for line in text.split("\n")]
    tabbed = [line for line in lines if "\t" in line.strip()]
    tabs = bool(tabbed)
    # Spreadsheets write an empty column behind the last one.
    ending = "\t" if all(line.endswith("\t") for line in tabbed) else ""
    columns = first = 0
    sentence: list[list[str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(_DOCUMENT):
            if sentence:
                yield _row(entry, first, sentence)
            sentence = []
            continue
        if tabs and line.startswith("#") and "\t" not in line:
            continue
        cells = line.removesuffix(ending).split("\t") if tabs else _SPACES.split(line.strip(" \t"))
        if len(cells) == 1:
            detail = (
                f"one column, {line[:60]!r}, where a word and its tag are wanted; a tab or a space parts them"
            )
            raise Skipped("ragged row", detail, number)
        columns = columns or len(cells)
        if len(cells) != columns:
            detail = f"{len(cells)} columns, where the lines before have {columns}; correct the line"
            raise Skipped("ragged row", detail, number)
        first = first if sentence else number
        sentence.append(cells)
    if sentence:
        yield _row(entry, first, sentence)


def _row(entry: Entry, line: int, sentence: list[list[str]]) -> Row:
    columns = [list(column) for column in zip(*sentence, strict=True)]
    numbered = {str(number): column for number, column in enumerate(columns, start=1)}
    words, tags = columns[0], columns[-1]
    types = sorted({tag.partition("-")[2] for tag in tags} - {""})
    named = {"words": words, "tags": tags, "text": " ".join(words), "types": types}
    return Row(entry.uri, line, numbered | named)
