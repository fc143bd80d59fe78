"""Parquet: a record per row, in batches that fit into memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import pyarrow.parquet as pq

from corpus.reading.class_names import classes_in, with_class_names
from corpus.reading.containers import Entry
from corpus.reading.record import OnSkipped
from corpus.reading.rows import Row, RowOptions, documents_of

SUFFIXES = {"parquet": (".parquet",)}
IS_TEXT = False

_BATCH_BYTES = 16_000_000
_BATCH_ROWS = 1024


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per row; its position and its line are its number, from 1.

    A strict reader gives all columns, a lenient one those that are wanted.

    Raises:
        SourceError: a wanted column is not there.
    """
    with _seekable(entry) as stream, pq.ParquetFile(stream) as file:
        names = file.schema_arrow.names
        options.check(entry.uri, names, nested=True)
        paths = (path if path in names else path.partition(".")[0] for path in options.columns)
        wanted = names if on_skipped is None else list(dict.fromkeys(paths))
        classes = classes_in(_features(file.schema_arrow.metadata))
        number = 0
        for batch in file.iter_batches(_rows_at_once(file, wanted), columns=wanted):
            for values in batch.to_pylist():
                number += 1
                yield Row(entry.uri, number, with_class_names(values, classes), position=str(number))


read = documents_of(rows)


def _features(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """What `datasets` notes about the columns of a file that it writes."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def _seekable(entry: Entry) -> BinaryIO:
    """The stream; a copy on the disk of one that can't go back, gone when it is closed."""
    if entry.seekable:
        return entry.stream
    copy = TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(entry.stream, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _rows_at_once(file: pq.ParquetFile, columns: Sequence[str]) -> int:
    """So many rows that the wanted columns take about `_BATCH_BYTES`, by the sizes that the file states."""
    rows, size = 1, 0
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        rows += metadata.num_rows
        for index in range(metadata.num_columns):
            column = metadata.column(index)
            if column.path_in_schema.partition(".")[0] in columns:
                size += column.total_uncompressed_size
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(size, 1)))
