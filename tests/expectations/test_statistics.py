"""Flags and figures over small Parquet corpora with planted faults."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.statistics import CorpusStatistics, FailingDocument

FLAGS = ["surplus_copy", "empty_text", "untraceable", "personal_data", "mojibake", "unreadable"]


def write(folder: Path, texts: list[str | None], **columns: list[str | None]) -> Path:
    folder.mkdir()
    number = range(len(texts))
    table = {
        "id": [f"{i:032x}" for i in number],
        "text": texts,
        "source": ["test"] * len(texts),
        "uri": [f"file:{i}" for i in number],
        "license": ["MIT"] * len(texts),
        "language": ["en"] * len(texts),
    }
    pq.write_table(pa.table({**table, **columns}), folder / "part-00000.parquet")
    return folder


def flags_of(tmp_path: Path, text: str | None) -> list[str]:
    with CorpusStatistics(write(tmp_path / "documents", [text]), tmp_path / "dropped") as statistics:
        figures = statistics.measure({flag: f"count_if({flag})" for flag in FLAGS})
    return [flag for flag, count in figures.items() if count]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Return the mean of the values along an axis.", []),
        ("返回数组沿给定轴的平均值，支持广播。版本 2.1 起可用。", []),
        ("Übergröße, façade, Ångström, naïve — “quoted” text… is not mojibake", []),
        ("a matrix @ b, decorated with @property; 3.14159265358979323846264338", []),
        ("tab\tand\nnew line", []),
        ("write to jane.doe@mail.example.org today", ["personal_data"]),
        ("call +49 (30) 1234-5678 now", ["personal_data"]),
        ("联系电话13812345678，谢谢", ["personal_data"]),
        ("身份证号11010519491231002X", ["personal_data"]),
        ("the cafÃ© was closed", ["mojibake"]),
        ("itâ€™s broken", ["mojibake"]),
        ("锟斤拷锟斤拷", ["mojibake"]),
        ("bad \N{REPLACEMENT CHARACTER} byte", ["unreadable"]),
        ("bell \x07", ["unreadable"]),
        ("\N{IDEOGRAPHIC SPACE} \n", ["empty_text"]),
        (None, ["empty_text"]),
    ],
)
def test_each_text_gets_its_flags_and_no_other(tmp_path: Path, text: str | None, flags: list[str]) -> None:
    assert flags_of(tmp_path, text) == flags


def test_surplus_copies_are_counted_beyond_the_first(tmp_path: Path) -> None:
    folder = write(tmp_path / "documents", ["x"] * 4, id=["b", "a", "a", "a"], uri=["1", "4", "3", "2"])
    with CorpusStatistics(folder, tmp_path / "dropped") as statistics:
        assert statistics.measure({"n": "count_if(surplus_copy)"}) == {"n": 2}
        assert statistics.failing("surplus_copy", 9) == [FailingDocument("a", "3"), FailingDocument("a", "4")]


def test_failing_documents_are_limited_and_in_order(tmp_path: Path) -> None:
    folder = write(tmp_path / "documents", ["x"] * 9, id=[f"{9 - i}" for i in range(9)])
    with CorpusStatistics(folder, tmp_path / "dropped") as statistics:
        assert [d.id for d in statistics.failing("characters = 1", 3)] == ["1", "2", "3"]


def test_lengths_are_code_points_and_undefined_figures_are_zero(tmp_path: Path) -> None:
    with CorpusStatistics(write(tmp_path / "documents", ["汉字🙂"]), tmp_path / "dropped") as statistics:
        assert statistics.measure({"n": "max(characters)"}) == {"n": 3}
    with CorpusStatistics(write(tmp_path / "empty", []), tmp_path / "dropped") as statistics:
        assert statistics.measure({"n": "count(*)", "share": "count_if(mojibake) / count(*)"}) == {
            "n": 0,
            "share": 0,
        }


def test_composition_is_by_source_and_language_largest_first(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "documents", ["ab", "c", "def"], source=["s", "t", "s"], language=["en", None, "en"]
    )
    with CorpusStatistics(folder, tmp_path / "dropped") as statistics:
        assert statistics.composition() == [("s", "en", 2, 5), ("t", "", 1, 1)]


def test_no_text_is_kept_in_the_tables(tmp_path: Path) -> None:
    folder = write(tmp_path / "documents", ["secret"])
    with (
        CorpusStatistics(folder, tmp_path / "dropped") as statistics,
        pytest.raises(duckdb.BinderException, match='column "text" not found'),
    ):
        statistics.failing("text = 'secret'", 1)
