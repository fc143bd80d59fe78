"""What a reader of a format yields, and how an error says where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corpus.errors import CorpusError


def wrong(file: str, line: int, what: str) -> CorpusError:
    """The one error of a bad example: its place, what was found, and the way out."""
    return CorpusError(f"examples: {place(file, line)}: {what}")


def place(file: str, line: int) -> str:
    """Where something is; line 0 is for what has no lines."""
    return f"{file}, line {line}" if line else file


@dataclass(frozen=True, slots=True)
class Row:
    """An example as its file has it: values by column, and the line where it begins, from 1; 0: it has none.

    `id` is the file's own name for it, empty where it has none. `files` are those of its columns, where each
    has one of its own.
    """

    file: str
    line: int
    values: Mapping[str, Any]
    id: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """File and line."""
        return place(self.file, self.line)

    def wrong(self, what: str, column: str = "") -> CorpusError:
        """The error about this row, or about one of its columns."""
        return wrong(self.files.get(column, self.file), self.line, what)
