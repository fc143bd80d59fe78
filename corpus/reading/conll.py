"""CoNLL's columns: a word per line with what is said about it, a blank line between sentences.

Columns are separated by tabs (then words may have spaces in them, and lines that begin with `#` are
comments, as in CoNLL-U) or by spaces (as in CoNLL-2003). A no-break or an ideographic space stands inside a
word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from corpus.reading.example_files import File
from corpus.reading.rows import Row, wrong

_DOCUMENT = "-DOCSTART-"
_SPACES = re.compile(" +")


def read(file: File, *, strip_prefix: str = "") -> Iterator[Row]:
    """A row per sentence: each column, from "1", is a list; so are `words`, the first, and `tags`, the last.

    `text` are the words in a row, and `types` what kinds of entities the tags name.

    Raises:
        CorpusError: a line has one column, or another number than the one before it.
    """
    lines = [line.rstrip("\r").removeprefix(strip_prefix) for line in file.text.split("\n")]
    tabbed = [line for line in lines if "\t" in line.strip()]
    tabs = bool(tabbed)
    # Spreadsheets write an empty column behind the last one.
    ending = "\t" if all(line.endswith("\t") for line in tabbed) else ""
    columns = first = 0
    sentence: list[list[str]] = []
    for line, text in enumerate(lines, start=1):
        if not text.strip() or text.startswith(_DOCUMENT):
            if sentence:
                yield _row(file, first, sentence)
            sentence = []
            continue
        if tabs and text.startswith("#") and "\t" not in text:
            continue
        cells = text.removesuffix(ending).split("\t") if tabs else _SPACES.split(text.strip(" \t"))
        if len(cells) == 1:
            raise wrong(
                file.uri,
                line,
                f"one column, {text[:60]!r}, where a word and its tag are wanted; a tab or a space "
                "parts them",
            )
        columns = columns or len(cells)
        if len(cells) != columns:
            raise wrong(
                file.uri,
                line,
                f"{len(cells)} columns, where the lines before have {columns}; correct the line",
            )
        first = first if sentence else line
        sentence.append(cells)
    if sentence:
        yield _row(file, first, sentence)


def _row(file: File, line: int, sentence: list[list[str]]) -> Row:
    columns = [list(column) for column in zip(*sentence, strict=True)]
    numbered = {str(number): column for number, column in enumerate(columns, start=1)}
    words, tags = columns[0], columns[-1]
    types = sorted({tag.partition("-")[2] for tag in tags} - {""})
    return Row(
        file.uri, line, numbered | {"words": words, "tags": tags, "text": " ".join(words), "types": types}
    )
