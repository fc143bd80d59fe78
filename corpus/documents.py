"""The one shape of a document: what every source yields, cleaning keeps and tokenizing reads.

Shards are Parquet with a fixed schema, compression and cut, so that the same documents
give the same bytes however they were batched on the way.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.errors import SourceError

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        ("license", pa.string()),
        ("language", pa.string()),
        ("collected_at", pa.timestamp("ms", tz="UTC")),
        pa.field("raw_digest", pa.string(), nullable=False),
        pa.field("encoding", pa.string(), nullable=False),
        pa.field("extractor", pa.string(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
# Cleaning changes texts, and ids with them: the id under which a document was collected stays beside its own.
CLEANED_SCHEMA = SCHEMA.insert(1, pa.field("collected_id", pa.string(), nullable=False))
ROW_GROUP_ROWS = 4096

OnSkip = Callable[[str, str, str], None]
"""Called with (uri, reason, detail) for everything a source had to leave out; the reason is a short class."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it comes from.

    `collected_at` is the time of the source's own last change, None where it has none that is the same
    on every machine. `meta` is what JSON can hold. `raw` are the bytes that the text was read from (None: the
    text itself), `encoding` the one they were in, `extractor` what made text of them, with its version.
    """

    text: str
    source: str
    uri: str
    license: str | None = None
    collected_at: datetime | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    encoding: str = "utf-8"
    extractor: str = "text"


class Item(NamedTuple):
    """What a source lists and reads as one: a file, a page, a package.

    `version` changes when its content does. `state` is what only this machine knows of it and tells contents
    of one version apart; it stays out of what is made.
    """

    uri: str
    version: str
    state: str = ""


def document_id(text: str) -> str:
    """32 hex characters: BLAKE2b-128 of `text` in NFC with every run of white space as one space."""
    normalised = " ".join(unicodedata.normalize("NFC", text).split())
    return blake2b(normalised.encode("utf-8", "replace"), digest_size=16).hexdigest()


@lru_cache(maxsize=1)  # the docstrings of one module share its bytes
def content_id(raw: bytes) -> str:
    """32 hex characters: BLAKE2b-128 of `raw`."""
    return blake2b(raw, digest_size=16).hexdigest()


def to_batches(
    documents: Iterable[Document], rows: int = ROW_GROUP_ROWS, characters: int = 8_000_000
) -> Iterator[pa.RecordBatch]:
    """Batches in `SCHEMA`; ids are computed, `language` is still null.

    A batch ends at `rows` documents or with the one that brings it to so many `characters` of text.
    """
    chunk: list[dict[str, object]] = []
    size = 0
    for document in documents:
        chunk.append(_row(document))
        size += len(document.text)
        if len(chunk) == rows or size >= characters:
            yield pa.RecordBatch.from_pylist(chunk, schema=SCHEMA)
            chunk, size = [], 0
    if chunk:
        yield pa.RecordBatch.from_pylist(chunk, schema=SCHEMA)


def write_shards(
    batches: Iterable[pa.RecordBatch],
    directory: Path,
    rows_per_shard: int = 20_000,
    bytes_per_shard: int = 128_000_000,
) -> int:
    """Write `part-00000.parquet`, … into `directory` and return the number of rows.

    A shard ends at `rows_per_shard` rows or with the row that brings it to `bytes_per_shard`
    bytes of text; the cut depends on the rows alone, never on the batches. The schema is that
    of the batches; without any batch one empty shard in `SCHEMA` is written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shard: list[pa.RecordBatch] = []
    schema, shards, rows, size, total = SCHEMA, 0, 0, 0, 0
    for batch in batches:
        schema, start = batch.schema, 0
        lengths = [length or 0 for length in pc.binary_length(batch["text"]).to_pylist()]
        for index, length in enumerate(lengths, start=1):
            rows, size = rows + 1, size + length
            if rows == rows_per_shard or size >= bytes_per_shard:
                shard.append(batch.slice(start, index - start))
                _write_shard(directory, shards, shard, schema)
                shard, start, shards, rows, size = [], index, shards + 1, 0, 0
        shard.append(batch.slice(start))
        total += batch.num_rows
    if rows or not shards:
        _write_shard(directory, shards, shard, schema)
    return total


def read_documents(directory: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Batches of all shards of `directory`, in the order in which they were written.

    Args:
        directory: a folder of shards.
        columns: what is read; None: everything.

    Raises:
        SourceError: there is no shard, or one is damaged.
    """
    for path in shard_paths(directory):
        try:
            yield from pq.ParquetFile(path).iter_batches(ROW_GROUP_ROWS, columns=columns)
        except pa.ArrowException as error:
            raise SourceError(f"{path}: not a readable Parquet shard ({error}); collect again") from error


def shard_paths(directory: Path) -> list[Path]:
    """The Parquet files of `directory`, sorted.

    Raises:
        SourceError: there is none.
    """
    paths = sorted(directory.glob("*.parquet"))
    if not paths:
        raise SourceError(f"{directory}: no document shards (*.parquet) here; run the collect stage first")
    return paths


def _row(document: Document) -> dict[str, object]:
    text = _encodable(document.text)
    return {
        "id": document_id(text),
        "text": text,
        "source": document.source,
        "uri": _encodable(document.uri),
        "license": document.license,
        "language": None,
        "collected_at": document.collected_at,
        "raw_digest": content_id(text.encode() if document.raw is None else document.raw),
        "encoding": document.encoding,
        "extractor": document.extractor,
        "meta": json.dumps(dict(document.meta), sort_keys=True),
    }


def _encodable(text: str) -> str:
    # JSON and Python string escapes can spell halves of surrogate pairs, which no UTF-8 file can hold.
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _write_shard(directory: Path, number: int, batches: list[pa.RecordBatch], schema: pa.Schema) -> None:
    table = pa.Table.from_batches(batches, schema=schema).combine_chunks()
    pq.write_table(
        table,
        directory / f"part-{number:05d}.parquet",
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        version="2.6",
    )
