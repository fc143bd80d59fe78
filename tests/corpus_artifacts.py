"""Small artifacts of the corpus stages, put into a store by hand in the format that the stages write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifact import Artifact
from tasks.documents import SCHEMA, Document, to_batches, write_shards
from tasks.store import Store
from tests.published import publish

Row = dict[str, Any]
# Faults are planted as nulls too.
NULLABLE = pa.schema([field.with_nullable(True) for field in SCHEMA])
DROPPED = pa.schema(
    [*NULLABLE, ("filter", pa.string()), ("value", pa.float64()), ("duplicate_of", pa.string())]
)
SENTENCE = "Return the mean of array number {} along an axis."


def good_rows(count: int = 120, sentence: str = SENTENCE, language: str = "en") -> list[Row]:
    """Documents of two sources that break no rule."""
    documents = [Document(sentence.format(i), f"source-{i % 2}", f"file:{i}", "MIT") for i in range(count)]
    rows: list[Row] = [row for batch in to_batches(documents) for row in batch.to_pylist()]
    return [row | {"language": language} for row in rows]


def drop(rows: Sequence[Row], filter: str, value: float = 0.0, duplicate_of: str | None = None) -> list[Row]:
    """The rows as cleaning writes what it drops."""
    return [row | {"filter": filter, "value": value, "duplicate_of": duplicate_of} for row in rows]


def collected(
    home: Path,
    rows: Sequence[Row],
    skipped: Sequence[tuple[str, str, str, str]] = (),
    evaluation: Sequence[Row] = (),
    key: str = "c" * 64,
) -> Artifact:
    """Publish an artifact of the collect stage."""
    store = Store(home)
    directory = store.begin("collect", key)
    _shards(rows, NULLABLE, directory / "documents")
    _shards(evaluation, NULLABLE, directory / "evaluation")
    counts = Counter(row["source"] for row in rows)
    _table(
        directory / "ledger.parquet",
        [(source, f"file:{source}", "1", n, 0) for source, n in sorted(counts.items())],
        {"source": pa.string(), "item": pa.string(), "version": pa.string()}
        | {"documents": pa.int64(), "skipped": pa.int64()},
    )
    strings = dict.fromkeys(("source", "uri", "reason", "detail"), pa.string())
    _table(directory / "skipped.parquet", skipped, strings)
    return publish(store, directory, "collect", key, counts={"documents": len(rows)})


def cleaned(
    home: Path,
    kept: Sequence[Row],
    dropped: Sequence[Row] = (),
    clusters: Sequence[tuple[str, str, str, str, float, bool]] = (),
    contaminated: Sequence[tuple[str, str, str, str]] = (),
    key: str = "d" * 64,
) -> Artifact:
    """Publish an artifact of the clean stage; a row may bring statistics (personal_data) of its own."""
    store = Store(home)
    directory = store.begin("clean", key)
    _shards(kept, NULLABLE, directory / "documents")
    _shards(dropped, DROPPED, directory / "dropped")
    kinds: dict[str, pa.DataType] = dict.fromkeys(
        ("id", "uri", "source", "language", "license", "filter"), pa.string()
    )
    kinds |= dict.fromkeys(("characters", "words", "bytes", "personal_data", "words_toxic"), pa.int32())
    (directory / "statistics").mkdir()
    _table(directory / "statistics/part-00000.parquet", [_statistics(r) for r in (*kept, *dropped)], kinds)
    columns = {**dict.fromkeys(("id", "uri", "source", "representative"), pa.string())}
    _table(
        directory / "clusters.parquet", clusters, columns | {"similarity": pa.float64(), "exact": pa.bool_()}
    )
    _table(
        directory / "contaminated.parquet",
        contaminated,
        dict.fromkeys(("id", "uri", "evaluation", "ngram"), pa.string()),
    )
    counts = {"collected": len(kept) + len(dropped), "kept": len(kept)}
    return publish(store, directory, "clean", key, counts=counts)


def _statistics(row: Row) -> tuple[Any, ...]:
    text = row["text"] or ""
    own = (row.get("filter"), len(text), len(text.split()), len(text.encode()))
    meta = tuple(row[name] for name in ("id", "uri", "source", "language", "license"))
    return (*meta, *own, row.get("personal_data", 0), 0)


def _shards(rows: Sequence[Row], schema: pa.Schema, directory: Path) -> None:
    rows = [{name: row.get(name) for name in schema.names} for row in rows]
    write_shards([pa.RecordBatch.from_pylist(rows, schema)], directory, rows_per_shard=50)


def _table(path: Path, rows: Sequence[Sequence[Any]], kinds: dict[str, pa.DataType]) -> None:
    values = [dict(zip(kinds, row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(values, pa.schema(list(kinds.items()))), path)
