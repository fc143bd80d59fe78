"""Parts: their bytes do not show the batches, a killed writer leaves nothing, rows are found again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.atomic import whole_file
from corpus.cleaning.engine.part_files import (
    join_parquet,
    parquet_part,
    read_arrow,
    values_at_rows,
    write_arrow,
)

TABLE = pa.table({"text": [f"text {row}" * (row % 7) for row in range(10_000)], "row": range(10_000)})


def write(path: Path, table: pa.Table, rows: int) -> Path:
    with parquet_part(path, table.schema) as part:
        for batch in table.to_batches(max_chunksize=rows):
            part(batch)
    return path


def test_bytes_do_not_depend_on_batches(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{rows}.parquet", TABLE, rows) for rows in (1, 1000, 4096, 9999, 10_000)]
    assert len({path.read_bytes() for path in paths}) == 1
    assert pq.read_table(paths[0]).equals(TABLE)
    assert [pq.ParquetFile(paths[0]).metadata.row_group(i).num_rows for i in range(3)] == [4096, 4096, 1808]


def test_parts_are_joined_whether_empty_or_not(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / "a", TABLE[:5000], 700),
        write(tmp_path / "b", TABLE[:0], 1),
        write(tmp_path / "c", TABLE[5000:], 9),
    ]
    assert join_parquet(parts, tmp_path / "joined.parquet", TABLE.schema) == 10_000
    assert (tmp_path / "joined.parquet").read_bytes() == write(tmp_path / "once", TABLE, 100).read_bytes()


def test_a_file_appears_when_it_is_whole_file(tmp_path: Path) -> None:
    def killed() -> None:
        with whole_file(tmp_path / "folder" / "file.npy") as unfinished:
            unfinished.write_text("half", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        killed()
    assert list((tmp_path / "folder").iterdir()) == []


def test_rows_of_an_arrow_file_are_found_again(tmp_path: Path) -> None:
    batches = [
        batch
        for chunk in (TABLE[:1], TABLE[1:1000], TABLE[1000:])
        for batch in chunk.to_batches(max_chunksize=3000)
    ]
    write_arrow(tmp_path / "t.arrow", batches, TABLE.schema)
    rows = np.array([0, 1, 999, 1000, 4999, 9999])
    assert values_at_rows(tmp_path / "t.arrow", "text", rows).equals(
        TABLE["text"].combine_chunks().take(rows)
    )
    assert pa.Table.from_batches(read_arrow(tmp_path / "t.arrow", ["row"])).equals(
        TABLE.select(["row"]).combine_chunks()
    )
