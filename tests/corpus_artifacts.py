"""Small artifacts of the corpus stages, put into a store by hand in the format that the stages write."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.documents import CLEANED_SCHEMA, SCHEMA, Document, to_batches, write_shards
from tasks.contract.artifact import Artifact
from tasks.contract.store import Store
from tests.published import publish

Row = dict[str, Any]
# Faults are planted as nulls too.
NULLABLE = pa.schema([field.with_nullable(True) for field in SCHEMA])
CLEANED = pa.schema([field.with_nullable(True) for field in CLEANED_SCHEMA])
DROPPED = pa.schema(
    [*CLEANED, ("filter", pa.string()), ("value", pa.string()), ("duplicate_of", pa.string())]
)
SENTENCE = "Return the mean of array number {} along an axis."


def good_rows(count: int = 120, sentence: str = SENTENCE, language: str = "en") -> list[Row]:
    """Documents of two sources that break no rule."""
    documents = [Document(sentence.format(i), f"source-{i % 2}", f"file:{i}", "MIT") for i in range(count)]
    rows: list[Row] = [row for batch in to_batches(documents) for row in batch.to_pylist()]
    return [row | {"language": language} for row in rows]


def drop(rows: Sequence[Row], filter: str, value: str = "0", duplicate_of: str | None = None) -> list[Row]:
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
    made_of: Artifact | None = None,
    key: str = "d" * 64,
) -> Artifact:
    """Publish an artifact of the clean stage; a row may bring personal_data and collected_id."""
    store = Store(home)
    directory = store.begin("clean", key)
    kept, dropped = ([{"collected_id": row["id"]} | row for row in rows] for rows in (kept, dropped))
    _shards(kept, CLEANED, directory / "documents")
    _shards(dropped, DROPPED, directory / "dropped")
    kinds: dict[str, pa.DataType] = dict.fromkeys(
        ("id", "uri", "source", "language", "license", "filter"), pa.string()
    )
    kinds |= dict.fromkeys(("characters", "words", "bytes", "personal_data", "words_toxic"), pa.int32())
    (directory / "statistics").mkdir()
    _table(directory / "statistics/part-00000.parquet", [_statistics(r) for r in (*kept, *dropped)], kinds)
    columns: dict[str, pa.DataType] = dict.fromkeys(("id", "uri", "source", "representative"), pa.string())
    columns |= {"similarity": pa.float32(), "exact": pa.bool_()}
    _table(directory / "clusters.parquet", clusters, columns)
    _table(
        directory / "contaminated.parquet",
        contaminated,
        dict.fromkeys(("id", "uri", "evaluation_uri", "ngram"), pa.string()),
    )
    counts = {"collected": len(kept) + len(dropped), "kept": len(kept)}
    (directory / "report.json").write_text(json.dumps(_report(kept, dropped)), encoding="utf-8")
    inputs = {"collected": made_of} if made_of else None
    return publish(store, directory, "clean", key, counts=counts, inputs=inputs)


def _report(kept: Sequence[Row], dropped: Sequence[Row]) -> dict[str, Any]:
    reasons = Counter(row["filter"] for row in dropped)
    left, funnel = len(kept) + len(dropped), []
    for reason, count in reasons.items():
        left -= count
        funnel.append({"reason": reason, "documents": count, "bytes": 0, "left": left})

    def lengths(rows: Sequence[Row]) -> dict[str, int]:
        classes = Counter(2 ** (max(1, len(row["text"] or "")).bit_length() - 1) for row in rows)
        return {str(least): classes[least] for least in sorted(classes)}

    sources = Counter(row["source"] for row in kept)
    return {
        "counts": {"collected": len(kept) + len(dropped), "kept": len(kept), "dropped": reasons},
        "funnel": funnel,
        "languages": Counter(row["language"] for row in kept),
        "lengths": {"collected": lengths([*kept, *dropped]), "kept": lengths(kept)},
        "duplicate_clusters": {"2": 7, "31": 1},
        "personal_data": {"email": 3, "iban": 0},
        "word_lists": {"collected": {"toxicity": 9}, "kept": {"toxicity": 4}},
        "mixing": [{"source": source, "kept": count} for source, count in sorted(sources.items())],
    }


def tokenized(
    home: Path,
    kept: Sequence[Row],
    fault: str = "",
    splits: Sequence[tuple[str, str]] = (),
    key: str = "f" * 64,
) -> Artifact:
    """Publish an artifact of the tokenize stage: a token per character between [CLS] and [SEP].

    `fault` is planted in the training split: id, unknown, boundary, frame or missing.
    """
    store = Store(home)
    directory = store.begin("tokenize", key)
    tokenizer = _tokenizer([row["text"] for row in kept])
    (directory / "tokenizer").mkdir()
    tokenizer.save(str(directory / "tokenizer" / "tokenizer.json"))
    (directory / "tokens").mkdir()
    parts = {"train": kept[4:], "validation": kept[:2], "test": kept[2:4]}
    for split, rows in parts.items():
        encoded = [tokenizer.encode(row["text"]).ids for row in rows]
        if split == "train":
            _plant(fault, encoded, tokenizer.get_vocab_size())
        offsets = np.cumsum([0, *map(len, encoded)]).astype("<i8")
        if split == "train" and fault == "boundary":
            offsets[[1, 2]] = offsets[[2, 1]]
        np.concatenate(encoded).astype("<u2").tofile(directory / "tokens" / f"{split}.bin")
        offsets.tofile(directory / "tokens" / f"{split}.offsets")
        (directory / "tokens" / f"{split}.json").write_text(json.dumps({"dtype": "<u2"}), encoding="utf-8")
    divided = [(row["id"], split) for split, rows in parts.items() for row in rows]
    strings = dict.fromkeys(("id", "split"), pa.string())
    _table(directory / "splits.parquet", splits or divided, strings)
    return publish(store, directory, "tokenize", key)


def _tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    characters = sorted(set("".join(texts)))
    vocabulary = {token: id for id, token in enumerate(("[UNK]", "[CLS]", "[SEP]", *characters))}
    words: Any = models.WordLevel
    tokenizer: Any = Tokenizer(words(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def _plant(fault: str, encoded: list[list[int]], vocabulary: int) -> None:
    document = encoded[0]
    if fault == "id":
        document[3] = vocabulary
    elif fault == "unknown":
        document[3:40] = [0] * 37
    elif fault == "frame":
        document[-1] = 3
    elif fault == "missing":
        encoded.pop()


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
