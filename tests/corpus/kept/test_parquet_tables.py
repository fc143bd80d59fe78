"""Tables in small pieces: whole or not there, the same bytes for the same rows, read from any row."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import SCHEMA, Document, Item, to_batches
from corpus.kept.parquet_tables import BYTES_PER_GROUP, ROWS_PER_GROUP, TableReader, TableWriter
from corpus.kept.segments import Segments, SegmentWriter

NUMBERS = pa.schema([("number", pa.int64())])


def _batch(start: int, stop: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(range(start, stop))], schema=NUMBERS)


def test_bytes_depend_on_the_rows_alone(tmp_path: Path) -> None:
    rows = 2 * ROWS_PER_GROUP + 10
    for name, step in (("large", rows), ("small", 999)):
        table = TableWriter(tmp_path / name, NUMBERS)
        for start in range(0, rows, step):
            table.add(_batch(start, min(start + step, rows)))
        table.close()
    single = TableWriter(tmp_path / "single", NUMBERS)
    for number in range(rows):
        single.add_row(number)
    single.close()
    assert len({(tmp_path / name).read_bytes() for name in ("large", "small", "single")}) == 1
    assert pq.read_metadata(tmp_path / "large").num_row_groups == 3


def test_a_table_is_there_when_it_is_closed(tmp_path: Path) -> None:
    for end in (TableWriter.discard, TableWriter.close):
        table = TableWriter(tmp_path / "t", NUMBERS)
        table.add(_batch(0, 3))
        assert not (tmp_path / "t").exists()
        end(table)
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_any_rows_can_be_read(tmp_path: Path) -> None:
    table = TableWriter(tmp_path / "t", NUMBERS)
    table.add(_batch(0, 3 * ROWS_PER_GROUP))
    table.close()
    reader = TableReader(tmp_path / "t")
    for first, count in ((0, 0), (5, 10), (ROWS_PER_GROUP - 1, 2), (0, 3 * ROWS_PER_GROUP)):
        found = [number for batch in reader.rows(first, count) for number in batch["number"].to_pylist()]
        assert found == list(range(first, first + count))
    reader.close()


def test_row_groups_of_large_documents_are_bounded(tmp_path: Path) -> None:
    table = TableWriter(tmp_path / "t", SCHEMA, bounded=True)
    for batch in to_batches((Document("x" * 1_000_000, "s", str(i)) for i in range(30)), characters=1):
        table.add(batch)
    table.close()
    metadata = pq.read_metadata(tmp_path / "t")
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    assert len(sizes) >= 3
    assert max(sizes) < 2 * BYTES_PER_GROUP


def test_a_segment_that_failed_leaves_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "reader")
    with writer:
        writer.write(Item("a", "1"), iter([Document("kept", "s", "a")]))

    def failing() -> Iterator[Document]:
        yield Document("half", "s", "b")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), writer:
        writer.write(Item("b", "1"), failing())
    assert list(Segments(tmp_path, "reader").kept) == [Item("a", "1")]
    assert not [path for path in tmp_path.glob("*/*") if path.name.startswith(".")]
    assert not Segments(tmp_path, "another reader").kept
