"""The ledger of a collection: every item with what became of it, and every record that was left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from corpus.documents import Item
from corpus.errors import SourceError
from corpus.kept.parquet_tables import TableWriter
from corpus.reading.dotted_paths import NO_TEXT_FIELD

LEDGER = pa.schema(
    [(name, pa.string()) for name in ("source", "item", "version")]
    + [(name, pa.int64()) for name in ("documents", "skipped")]
)
SKIPPED = pa.schema([(name, pa.string()) for name in ("source", "uri", "reason", "detail")])

LICENSE = "licence not allowed"
# Left out on purpose, or no text to begin with: no sign that a source is broken.
NOT_BAD = frozenset(
    {
        *("empty", "no main text", "unknown words", "truncated", LICENSE),
        *("unsupported type", "link", "not a regular file"),
        *("redirect page", "other namespace"),
        *("HTTP status", "not found", "other host", "robots.txt"),
    }
)
LOCATIONS_SHOWN = 3


class Ledger:
    """Writes `ledger.parquet` and `skipped.parquet`, and counts."""

    def __init__(self, directory: Path) -> None:
        self._items = TableWriter(directory / "ledger.parquet", LEDGER)
        self._skipped = TableWriter(directory / "skipped.parquet", SKIPPED)
        self.reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._first_bad: defaultdict[str, list[str]] = defaultdict(list)

    def item(self, source: str, item: Item, documents: int, skipped: int) -> None:
        """What became of an item: how many documents are in the corpus, how many records were left out."""
        self._items.add_row(source, item.uri, item.version, documents, skipped)

    def skip(self, source: str, uri: str, reason: str, detail: str) -> None:
        """A record that was left out."""
        self._skipped.add_row(source, uri, reason, detail)
        self.reasons[source][reason] += 1
        if reason not in NOT_BAD and len(self._first_bad[source]) < LOCATIONS_SHOWN:
            self._first_bad[source].append(f"{uri} ({detail or reason})")

    def skipped(self) -> int:
        """How many records were left out so far."""
        return sum(reasons.total() for reasons in self.reasons.values())

    def check(self, documents: Mapping[str, int], max_bad_share: float) -> None:
        """Refuse a source of which too much could not be used; `documents` is what was read, by source.

        Raises:
            SourceError: with the counts by reason and the first locations.
        """
        for source, reasons in self.reasons.items():
            counts = [(count, reason) for reason, count in reasons.items() if reason not in NOT_BAD]
            bad = sum(count for count, _ in counts)
            share = bad / max(1, bad + documents[source])
            if share > max_bad_share:
                by_reason = ", ".join(f"{count:,} {reason}" for count, reason in sorted(counts)[:-9:-1])
                first = "; ".join(self._first_bad[source])
                way_out = "set text_field" if max(counts)[1] == NO_TEXT_FIELD else "repair the source"
                raise SourceError(
                    f"collect: {bad:,} of {bad + documents[source]:,} records of {source} ({share:.0%}) "
                    f"can't be used: {by_reason}; the first: {first}; {way_out}, or raise "
                    f"collect.max_bad_share (now {max_bad_share:g})"
                )

    def close(self) -> None:
        """Write both files to the end."""
        self._items.close()
        self._skipped.close()
