"""Records with fields: what a reader of their format is told and yields, and the documents in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.errors import CorpusError, SourceError
from corpus.reading.containers import Entry
from corpus.reading.delimited import Dialect
from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, RecordReader, too_large
from corpus.reading.skipped import Skipped


def wrong(file: str, line: int, what: str) -> CorpusError:
    """The one error of a bad example: its place, what was found, and the way out."""
    return CorpusError(f"examples: {place(file, line)}: {what}")


def place(file: str, line: int) -> str:
    """Where something is; line 0 is for what has no lines."""
    return f"{file}, line {line}" if line else file


@dataclass(frozen=True, slots=True)
class Row:
    """A record as its file has it: values by column, and the line where it begins, from 1; 0: it has none.

    `id` is the file's own name for it, empty where it has none. `files` are those of its columns, where each
    has one of its own. `position`, `raw` and `encoding` are those of a `Record`.
    """

    file: str
    line: int
    values: Mapping[str, Any]
    id: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    position: str = ""
    raw: bytes | None = None
    encoding: str = "utf-8"

    @property
    def place(self) -> str:
        """File and line."""
        return place(self.file, self.line)

    def wrong(self, what: str, column: str = "") -> CorpusError:
        """The error about this row, or about one of its columns."""
        return wrong(self.files.get(column, self.file), self.line, what)


def _unheard(dialect: Dialect) -> None:
    """Nobody asks how a table is written."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What the readers of rows are told; each looks at what concerns its format.

    `wanted` are names of columns by the setting that names them, `limit` the most bytes of a row.
    `on_dialect` hears how a table is written, and once more when that shows to be otherwise.
    """

    wanted: Mapping[str, Sequence[str]]
    limit: int
    format: str = "auto"
    header: bool = True
    delimiter: str = ""
    strip_prefix: str = ""
    on_dialect: Callable[[Dialect], None] = _unheard

    @property
    def columns(self) -> list[str]:
        """The wanted columns."""
        return [name for names in self.wanted.values() for name in names]

    def check(self, uri: str, columns: Sequence[str], *, nested: bool = False) -> None:
        """Refuse a table without a wanted column; `nested` says that dots may lead into one.

        Raises:
            SourceError: one is not there.
        """
        for setting, names in self.wanted.items():
            for name in names:
                if name not in columns and not (nested and name.partition(".")[0] in columns):
                    found = ", ".join(columns) or "(none)"
                    raise SourceError(f"{uri}: no column {name!r}; the columns are {found}; set {setting}")


RowReader = Callable[[Entry, RowOptions, OnSkipped | None], Iterator[Row]]
"""Reads one entry. Lenient, it tells what it skips and goes on; strict (None), it raises that instead."""


def skip(on_skipped: OnSkipped | None, position: str, problem: Skipped) -> None:
    """Go on without a row, or, where nothing may be skipped, don't.

    Raises:
        Skipped: the reader is strict.
    """
    if on_skipped is None:
        raise problem
    on_skipped(position, problem)


def documents_of(rows: RowReader) -> RecordReader:
    """The reader of documents that takes the text and the meta of rows, and skips those without."""

    def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
        limit = options.max_document_bytes
        wanted = {"text_field": [options.text_field], "meta_fields": options.meta_fields}
        told = RowOptions(wanted, limit, options.format, options.header)
        for row in rows(entry, told, on_skipped):
            try:
                text = text_of(row.values, options.text_field)
                if row.raw is None and len(text.encode("utf-8", "replace")) > limit:
                    raise too_large(limit)
            except Skipped as problem:
                on_skipped(row.position, problem)
            else:
                meta = meta_of(row.values, options.meta_fields)
                yield Record(row.position, text, meta, row.raw, row.encoding)

    return read
