"""Parquet as examples: all columns, with the names of classes and a line for each row."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.examples.config import FilesExamples
from corpus.examples.from_files import read_examples


def test_examples_are_read_from_parquet(tmp_path: Path) -> None:
    columns = {
        "text": [f"text {n}" for n in range(40)],
        "topic": ["a", "b"] * 20,
        "author": [f"author {n // 4}" for n in range(40)],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    config = FilesExamples(
        task="classification",
        train=str(tmp_path / "a.parquet"),
        columns={"label": "topic"},
        group_by="author",
    )
    splits = read_examples(config)
    assert splits.labels == ["a", "b"]
    examples = [one for several in splits.examples.values() for one in several]
    assert {one["id"] for one in examples} == {f"a.parquet:{n}" for n in range(1, 41)}
