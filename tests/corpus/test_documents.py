"""Document shards: ids, schema, and bytes that depend on the documents alone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import SCHEMA, Document, document_id, read_documents, to_batches, write_shards
from corpus.errors import SourceError


def test_id_sees_text_but_not_white_space_or_unicode_form() -> None:
    assert document_id("a  café\n b") == document_id(" a cafe\u0301 b ")
    assert document_id("a b") != document_id("ab")
    assert len(document_id("")) == 32


def test_shards_do_not_depend_on_batches(tmp_path: Path) -> None:
    documents = [
        Document(f"text number {i} " * (i % 7), "s", f"u{i:03}", meta={"b": "1", "a": "2"})
        for i in range(300)
    ]
    for rows in (1, 64, 1000):
        assert write_shards(to_batches(documents, rows), tmp_path / str(rows), rows_per_shard=90) == 300
    shards = [{p.name: p.read_bytes() for p in (tmp_path / str(rows)).iterdir()} for rows in (1, 64, 1000)]
    assert shards[0] == shards[1] == shards[2]
    assert [pq.read_metadata(p).num_rows for p in sorted((tmp_path / "1").iterdir())] == [90, 90, 90, 30]


def test_a_shard_ends_at_its_bytes(tmp_path: Path) -> None:
    write_shards(to_batches(Document("x" * 60, "s", str(i)) for i in range(5)), tmp_path, bytes_per_shard=100)
    assert [pq.read_metadata(p).num_rows for p in sorted(tmp_path.iterdir())] == [2, 2, 1]


def test_read_gives_back_what_was_written(tmp_path: Path) -> None:
    written = list(to_batches([Document("文本 \ud83d\ude00 \ud800", "s", "u", "MIT", meta={"k": "v"})]))
    write_shards(written, tmp_path)
    [batch] = read_documents(tmp_path)
    assert batch.schema.equals(SCHEMA)
    assert batch.to_pylist() == written[0].to_pylist()
    assert batch["text"].to_pylist() == ["文本 😀 \ufffd"]


def test_no_documents_give_an_empty_shard(tmp_path: Path) -> None:
    assert write_shards([], tmp_path) == 0
    assert pa.Table.from_batches(read_documents(tmp_path), SCHEMA).num_rows == 0


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="run the collect stage"):
        list(read_documents(tmp_path))
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(SourceError, match=r"part-00000\.parquet"):
        list(read_documents(tmp_path))
