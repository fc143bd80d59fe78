"""What a reader of one format yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from corpus.reading.containers import Entry
from corpus.reading.options import ReadingOptions
from corpus.reading.skipped import Skipped


@dataclass(frozen=True, slots=True)
class Record:
    """A text as it was found.

    `position` is where in the file: the number of a row or record from 1, "" for the whole file. `changed`
    is when the record says that it was written, `raw` the bytes it was read from (None: those of the text).
    """

    position: str
    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    encoding: str = "utf-8"
    extractor: str = "text"
    changed: datetime | None = None


OnSkipped = Callable[[str, Skipped], None]
"""Called with (position, why) for every record that can't be used."""

RecordReader = Callable[[Entry, ReadingOptions, OnSkipped], Iterator[Record]]
"""Reads one entry as a stream. What it raises (`Skipped`, `UNREADABLE`) ends the entry, not the run."""


def too_large(limit: int) -> Skipped:
    """For what is over the limit of the recipe, in bytes."""
    return Skipped("too large", f"larger than max_document_bytes ({limit})")
