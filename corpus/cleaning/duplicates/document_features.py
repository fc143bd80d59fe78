"""What the search for duplicates knows of a document: a few hundred bytes, in one Arrow file per shard.

The files are uncompressed and hold one record batch each, so that a column is one run of bytes that is
read through the file system's cache, not into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.errors import CorpusError

_ID_BYTES = 16


def write_features(
    path: Path,
    *,
    rows: npt.NDArray[np.int64],
    ids: Sequence[str],
    uris: pa.StringArray,
    lengths: npt.NDArray[np.int64],
    trust: npt.NDArray[np.int32],
    signatures: npt.NDArray[np.uint32],
) -> None:
    """Write the features of those n documents of a shard that take part in the search.

    Args:
        path: the file, conventionally `part-00000.arrow`.
        rows: their rows in the shard, ascending: where their texts are read again.
        ids: 32 hex characters each (`documents.document_id`).
        uris: the smallest is kept of what is equal in all else.
        lengths: characters of the texts.
        trust: position of the document's source in the recipe; the first is trusted most.
        signatures: uint32[n, permutations] of `minhash.signatures`.
    """
    width = 4 * signatures.shape[1]
    columns = {
        "row": pa.array(rows, pa.int64()),
        "id": pa.array(map(bytes.fromhex, ids), pa.binary(_ID_BYTES)),
        "uri": pa.array(uris, pa.string()),
        "length": pa.array(lengths, pa.int64()),
        "trust": pa.array(trust, pa.int32()),
        "signature": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width),
            len(signatures),
            [None, pa.py_buffer(np.ascontiguousarray(signatures, "<u4"))],
        ),
    }
    batch = pa.record_batch(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


class Features:
    """The features of all documents, in the order of the files; a document's row counts through them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shards = [_open(path) for path in paths]
        self.starts = np.cumsum([0, *(shard.num_rows for shard in self.shards)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def take(self, rows: npt.NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """These columns of the documents at `rows`, in any order."""
        order = np.argsort(rows, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        parts = [
            self.shards[shard].select(columns).take(pa.array(inside))
            for shard, inside in self.by_shard(rows[order])
        ]
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))

    def by_shard(self, rows: npt.NDArray[np.int64]) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """Ascending `rows` as (number of the file, rows inside the file)."""
        cuts = np.searchsorted(rows, self.starts)
        return [
            (shard, rows[first:end] - self.starts[shard])
            for shard, (first, end) in enumerate(pairwise(cuts))
            if end > first
        ]

    def words(self, column: str, path: Path) -> npt.NDArray[np.uint32]:
        """A binary column as uint32[n, width / 4], in one file at `path`; there has to be a document."""
        width = self.shards[0].schema.field(column).type.byte_width // 4
        with path.open("wb") as file:
            for shard in self.shards:
                _, content = shard[column].buffers()
                file.write(memoryview(content or b"")[: 4 * width * shard.num_rows])
        return np.asarray(np.memmap(path, "<u4", "r", shape=(len(self), width)))


def _open(path: Path) -> pa.RecordBatch:
    try:
        with pa.memory_map(str(path)) as file:
            return pa.ipc.open_file(file).get_batch(0)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"clean: {path} holds no features ({error}); run clean again") from error
