"""Parquet tables in small pieces: written as rows come, read forwards from any row, both in little memory."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 4096
BYTES_PER_GROUP = 8_000_000


class TableWriter:
    """Writes one table; it becomes visible, whole and on the disk, when it is closed.

    A row group ends at `ROWS_PER_GROUP` rows, with `bounded` also with the batch that brings it to
    `BYTES_PER_GROUP` bytes; without, the file's bytes depend on the rows alone, not on the batches.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, bounded: bool = False) -> None:
        self.path, self.schema, self.bounded = path, schema, bounded
        self.rows = self.bytes = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._values: list[tuple[object, ...]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._writer = pq.ParquetWriter(
            self._temporary, schema, compression="zstd", version="2.6", write_page_checksum=True
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch in the table's schema."""
        self._take_values()
        self._append(batch)

    def add_row(self, *values: object) -> None:
        """Append one row, a value per column."""
        self._values.append(values)
        self.rows += 1
        if len(self._values) == ROWS_PER_GROUP:
            self._take_values()

    def close(self) -> None:
        """Write what is pending and put the file in its place."""
        self._take_values()
        self._write(final=True)
        self._writer.close()
        # Not by `corpus.atomic`: a table is open beyond any block, and is to outlive a loss of power.
        with self._temporary.open("rb") as file:
            os.fsync(file.fileno())
        self._temporary.rename(self.path)

    def discard(self) -> None:
        """Leave no trace."""
        self._writer.close()
        self._temporary.unlink(missing_ok=True)

    def _take_values(self) -> None:
        if self._values:
            columns = zip(*self._values, strict=True)
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)
            ]
            self.rows -= len(self._values)
            self._values = []
            self._append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))

    def _append(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        too_large = self.bounded and self._pending_bytes >= BYTES_PER_GROUP
        if too_large or self._pending_rows >= ROWS_PER_GROUP:
            self._write(final=too_large)

    def _write(self, *, final: bool) -> None:
        """Write whole row groups; with `final` also the rows that fill none."""
        table = pa.Table.from_batches(self._pending, self.schema)
        rows = table.num_rows if final else table.num_rows // ROWS_PER_GROUP * ROWS_PER_GROUP
        if rows:
            self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=ROWS_PER_GROUP)
        rest = table.slice(rows)
        self._pending, self._pending_rows, self._pending_bytes = rest.to_batches(), rest.num_rows, rest.nbytes


class TableReader:
    """Reads rows of one table; cheap when what is asked for comes later than what was asked before."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path, page_checksum_verification=True)
        self._starts, start = [], 0
        for group in range(self._file.num_row_groups):
            self._starts.append(start)
            start += self._file.metadata.row_group(group).num_rows
        self._group = -1
        self._table: pa.Table | None = None

    def rows(self, first: int, count: int) -> Iterator[pa.RecordBatch]:
        """The batches of rows `first` to `first + count`; one row group is in memory at a time."""
        while count:
            group = bisect_right(self._starts, first) - 1
            if group != self._group or self._table is None:
                self._table, self._group = self._file.read_row_group(group), group
            piece = self._table.slice(first - self._starts[group], count)
            yield from piece.to_batches()
            first, count = first + piece.num_rows, count - piece.num_rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()
