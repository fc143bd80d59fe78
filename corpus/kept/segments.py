"""What has been read of one source, kept below the store's home so that only new and changed items are
read again.

    <directory>/documents/<segment>.parquet   the documents of some items, in the order of the listing
    <directory>/skipped/<segment>.parquet     the records that were left out of them
    <directory>/items/<segment>.parquet       those items and their rows; written last, makes a segment count
    <directory>/listing.parquet               the items with documents of the last complete collection

An item is kept by its URI, its version and the reader that read it. What is no longer listed, or was read
by another reader, is removed by `tidy`: its text is then in no segment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.documents import SCHEMA, Document, Item, to_batches
from corpus.errors import SourceError
from corpus.kept.parquet_tables import TableReader, TableWriter

SKIPPED = pa.schema([(name, pa.string()) for name in ("uri", "reason", "detail")])
ITEMS = pa.schema(
    [(name, pa.string()) for name in (*Item._fields, "reader")]
    + [(name, pa.int64()) for name in ("first_document", "documents", "first_skipped", "skipped")]
)
LISTING = pa.schema([(name, pa.string()) for name in Item._fields])
SEGMENT_BYTES = 64_000_000
SEGMENT_SECONDS = 30.0
MOST_SMALL_SEGMENTS = 16
LONGEST_DETAIL = 500


class Place(NamedTuple):
    """Where the documents of an item are: a range of rows of a segment; the same for what was left out."""

    segment: str
    first_document: int
    documents: int
    first_skipped: int
    skipped: int


class SegmentWriter:
    """Writes items as segments, each of which counts when it is closed; an item is in one segment.

    A segment is closed after the item that brings it to `SEGMENT_BYTES` or makes it `SEGMENT_SECONDS` old.
    """

    def __init__(self, directory: Path, reader: str) -> None:
        self.directory, self.reader = directory, reader
        self._tables: tuple[TableWriter, TableWriter, TableWriter] | None = None
        self._started = 0.0

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._tables and kind:
            for table in self._tables:
                table.discard()
        else:
            self._close()

    def add(self, documents: pa.RecordBatch) -> None:
        """Append documents of the item at hand."""
        self._open()[0].add(documents)

    def skip(self, uri: str, reason: str, detail: str) -> None:
        """Note a record that is left out of the item at hand."""
        uri, detail = (text.encode("utf-8", "replace").decode() for text in (uri, detail[:LONGEST_DETAIL]))
        self._open()[1].add_row(uri, reason, detail)

    @contextmanager
    def item(self, item: Item) -> Iterator[None]:
        """What is added and skipped inside belongs to this item."""
        documents, skipped, items = self._open()
        first, first_skipped = documents.rows, skipped.rows
        yield
        counts = (first, documents.rows - first, first_skipped, skipped.rows - first_skipped)
        items.add_row(*item, self.reader, *counts)
        if documents.bytes >= SEGMENT_BYTES or time.monotonic() - self._started >= SEGMENT_SECONDS:
            self._close()

    def copy(
        self, item: Item, documents: Iterable[pa.RecordBatch], skipped: Iterable[pa.RecordBatch]
    ) -> None:
        """Append an item that was read before."""
        with self.item(item):
            for batch in documents:
                self.add(batch)
            for batch in skipped:
                self._open()[1].add(batch)

    def write(self, item: Item, documents: Iterable[Document]) -> None:
        """Append an item that is being read; what it leaves out comes through `skip`."""
        with self.item(item):
            for batch in to_batches(documents):
                self.add(batch)

    def _open(self) -> tuple[TableWriter, TableWriter, TableWriter]:
        if self._tables is None:
            name = f"{uuid4().hex}.parquet"
            self._started = time.monotonic()
            self._tables = (
                TableWriter(self.directory / "documents" / name, SCHEMA, bounded=True),
                TableWriter(self.directory / "skipped" / name, SKIPPED),
                TableWriter(self.directory / "items" / name, ITEMS),
            )
        return self._tables

    def _close(self) -> None:
        if self._tables:
            for table in self._tables:
                table.close()
        self._tables = None


class Segments:
    """The segments of one source, as `reader` would have read them. Use them with the source's lock held."""

    def __init__(self, directory: Path, reader: str) -> None:
        self.directory, self.reader = directory, reader
        self.kept: dict[Item, Place] = {}
        self._sizes: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self.refresh()

    def refresh(self) -> None:
        """Look at the disk again; remains of killed writers and damaged segments are removed."""
        self.kept.clear()
        self._items.clear()
        self._sizes.clear()
        for path in sorted((self.directory / "items").glob("[!.]*.parquet")):
            items = self._sound_items(path)
            if items is None:
                path.unlink()
                continue
            self._items[path.stem] = len(items["uri"])
            self._sizes[path.stem] = self._path("documents", path.stem).stat().st_size
            for uri, version, state, reader, *place in zip(*items.values(), strict=True):
                if reader == self.reader:
                    self.kept[Item(uri, version, state)] = Place(path.stem, *place)
        for path in self.directory.glob("*/*"):
            if path.stem not in self._items:
                path.unlink()

    def missing(self, listing: Iterable[Item]) -> list[Item]:
        """The items that have to be read."""
        return [item for item in listing if item not in self.kept]

    def documents(self, listing: Iterable[Item]) -> Iterator[tuple[Item, Iterator[pa.RecordBatch]]]:
        """The documents of every item, in the order of the listing; consume each before the next."""
        return self._read("documents", listing)

    def skipped(self, listing: Iterable[Item]) -> Iterator[tuple[Item, Iterator[pa.RecordBatch]]]:
        """The records left out of every item, in the order of the listing; consume each before the next."""
        return self._read("skipped", listing)

    def tidy(self, listing: Iterable[Item]) -> None:
        """Remove all that is not listed, and make large segments of many small ones."""
        listing = list(listing)
        wanted = Counter(self.kept[item].segment for item in listing)
        stale = {name for name, count in self._items.items() if count != wanted[name]}
        small = {name for name in self._items if self._sizes[name] < SEGMENT_BYTES // 8}
        rewritten = stale | small if len(small) > MOST_SMALL_SEGMENTS else stale
        if not rewritten:
            return
        staying = [item for item in listing if self.kept[item].segment in rewritten]
        with SegmentWriter(self.directory, self.reader) as writer:
            both = zip(self.documents(staying), self.skipped(staying), strict=True)
            for (item, documents), (_, skipped) in both:
                writer.copy(item, documents, skipped)
        for name in rewritten:
            self._path("items", name).unlink()
        self.refresh()

    def remember(self, listing: Iterable[Item]) -> None:
        """Say that these are the items with documents of what is now the last complete collection."""
        table = TableWriter(self.directory / "listing.parquet", LISTING)
        for item in listing:
            table.add_row(*item)
        table.close()

    def _sound_items(self, path: Path) -> dict[str, list[Any]] | None:
        with suppress(OSError, pa.ArrowException):
            table = pq.read_table(path, page_checksum_verification=True)
            if table.schema.names != ITEMS.names:
                return None  # of an earlier version of this module
            items: dict[str, list[Any]] = table.to_pydict()
            documents, skipped = (
                pq.read_metadata(self._path(part, path.stem)).num_rows for part in ("documents", "skipped")
            )
            if documents == sum(items["documents"]) and skipped == sum(items["skipped"]):
                return items
        return None

    def _sound(self, batches: Iterator[pa.RecordBatch], segment: str) -> Iterator[pa.RecordBatch]:
        """The batches; the segment is forgotten when they are damaged."""
        try:
            yield from batches
        except (OSError, pa.ArrowException) as error:
            self._path("items", segment).unlink(missing_ok=True)
            raise SourceError(
                f"collect: {self.directory}: what was kept of a source is damaged ({error}); run again, "
                "it is read anew"
            ) from error

    def _path(self, table: str, segment: str) -> Path:
        return self.directory / table / f"{segment}.parquet"

    def _read(self, table: str, listing: Iterable[Item]) -> Iterator[tuple[Item, Iterator[pa.RecordBatch]]]:
        # Items are listed in the same order every time, so that every segment is read once, forwards,
        # and few of them at a time.
        listing = list(listing)
        left = Counter(self.kept[item].segment for item in listing)
        readers: dict[str, TableReader] = {}
        for item in listing:
            segment, *documents_and_skipped = self.kept[item]
            first, count = documents_and_skipped[:2] if table == "documents" else documents_and_skipped[2:]
            if segment not in readers:
                readers[segment] = TableReader(self._path(table, segment))
            yield item, self._sound(readers[segment].rows(first, count), segment)
            left[segment] -= 1
            if not left[segment]:
                readers.pop(segment).close()


def last_listing(directory: Path) -> dict[str, Item]:
    """URI -> item, of those with documents of the last complete collection into these segments."""
    with suppress(OSError, pa.ArrowException):
        rows = pq.read_table(directory / "listing.parquet").to_pylist()
        return {row["uri"]: Item(**row) for row in rows}
    return {}
