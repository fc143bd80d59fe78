"""Parquet: a record per row, in batches that fit into memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import pyarrow.parquet as pq

from corpus.errors import SourceError
from corpus.reading.class_names import classes_in, with_class_names
from corpus.reading.containers import Entry
from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped

SUFFIXES = {"parquet": (".parquet",)}
LIBRARIES = ("pyarrow",)
META = ()

_BATCH_BYTES = 16_000_000
_BATCH_ROWS = 1024


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per row; its position is the number of the row, from 1.

    Raises:
        SourceError: there is no such column.
    """
    with _seekable(entry) as stream, pq.ParquetFile(stream) as file:
        wanted = _columns(entry.uri, options, file.schema_arrow.names)
        classes = classes_in(_features(file.schema_arrow.metadata))
        number = 0
        for batch in file.iter_batches(_rows_at_once(file, wanted), columns=wanted):
            for row in batch.to_pylist():
                number += 1
                try:
                    text = text_of(row, options.text_field)
                    if len(text.encode("utf-8", "replace")) > options.max_document_bytes:
                        raise too_large(options)
                    meta = meta_of(with_class_names(row, classes), options.meta_fields)
                    yield Record(str(number), text, meta)
                except Skipped as problem:
                    on_skipped(str(number), problem)


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


def _columns(uri: str, options: ReadingOptions, columns: Sequence[str]) -> list[str]:
    """The columns to read: a dotted path lies in the one that it begins with."""
    wanted = []
    for setting, paths in (("text_field", [options.text_field]), ("meta_fields", options.meta_fields)):
        for path in paths:
            column = path if path in columns else path.partition(".")[0]
            if column not in columns:
                found = ", ".join(columns) or "(none)"
                raise SourceError(f"{uri}: no column {path!r}; the columns are {found}; set {setting}")
            wanted.append(column)
    return list(dict.fromkeys(wanted))


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
