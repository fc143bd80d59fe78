"""Files of the engine: Parquet parts for the artifact, Arrow files for its own second reading.

Both appear under their name when they are complete. The rows of a Parquet part are cut into row groups
of one size, so its bytes do not show in which batches they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.atomic import whole_file
from corpus.documents import ROW_GROUP_ROWS

# The columns with few values; a dictionary of texts or ids would only cost time.
REPEATING = ("source", "license", "language", "encoding", "extractor", "filter", "evaluation_uri")

Write = Callable[[pa.RecordBatch], None]


@contextmanager
def parquet_part(path: Path, schema: pa.Schema) -> Iterator[Write]:
    """A Parquet file to write batch by batch, none being an empty file: `write(batch)`."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    dictionaries = [name for name in REPEATING if name in schema.names]
    with (
        whole_file(path) as unfinished,
        pq.ParquetWriter(unfinished, schema, compression="zstd", use_dictionary=dictionaries) as writer,
    ):

        def write(batch: pa.RecordBatch) -> None:
            nonlocal rows
            while rows + batch.num_rows >= ROW_GROUP_ROWS:
                missing = ROW_GROUP_ROWS - rows
                waiting.append(batch.slice(0, missing))
                flush()
                batch = batch.slice(missing)
            waiting.append(batch)
            rows += batch.num_rows

        def flush() -> None:
            nonlocal rows
            # One chunk per column: where a chunk ends, a page would end too.
            group = pa.Table.from_batches(waiting, schema).combine_chunks()
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            waiting.clear()
            rows = 0

        yield write
        if rows:
            flush()


def join_parquet(parts: Iterable[Path], path: Path, schema: pa.Schema) -> int:
    """Write the rows of all parts into one file; returns their number."""
    rows = 0
    with parquet_part(path, schema) as write:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(use_threads=False):
                write(batch)
                rows += batch.num_rows
    return rows


def write_arrow(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write batches so that any of them is found at once (`values_at_rows`)."""
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with whole_file(path) as unfinished, pa.ipc.new_file(unfinished, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_arrow(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, in order; only some columns when they are named."""
    with pa.memory_map(str(path)) as file:
        reader = _open(file, columns)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def values_at_rows(path: Path, column: str, rows: npt.NDArray[np.int64]) -> pa.Array:
    """The values of `column` in the given ascending rows; reads only the batches that they are in."""
    starts = _starts(path)
    batch_of = np.searchsorted(starts, rows, side="right") - 1
    with pa.memory_map(str(path)) as file:
        reader = _open(file, [column])
        return pa.concat_arrays(
            [
                reader.get_batch(index).column(0).take(pa.array(rows[batch_of == index] - starts[index]))
                for index in np.unique(batch_of).tolist()
            ]
        )


@lru_cache(maxsize=4096)
def _starts(path: Path) -> npt.NDArray[np.int64]:
    """The first row of each batch; a column of a few bytes a row is enough to count."""
    narrow = pa.ipc.open_file(path).schema.names[-1:]
    lengths = [batch.num_rows for batch in read_arrow(path, narrow)]
    return np.cumsum([0, *lengths[:-1]], dtype=np.int64)


def _open(file: pa.NativeFile, columns: Sequence[str] | None) -> pa.ipc.RecordBatchFileReader:
    if columns is None:
        return pa.ipc.open_file(file)
    names = pa.ipc.open_file(file).schema.names
    fields = [names.index(name) for name in columns]
    options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
    return pa.ipc.open_file(file, options=options)
