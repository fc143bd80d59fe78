"""Figures of rules and documents to blame, over small Parquet files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.judgement import FailingDocument, Rule
from expectations.statistics import Statistics, literals, parquet, share


def opened(tmp_path: Path, count: int) -> Statistics:
    (tmp_path / "shards").mkdir()
    table = pa.table({"id": [f"{count - i}" for i in range(count)], "uri": ["file"] * count})
    pq.write_table(table, tmp_path / "shards" / "it's.parquet")
    view = f"CREATE VIEW documents AS FROM {parquet(tmp_path / 'shards')}"
    return Statistics(tmp_path / "spill", [view, "CREATE TABLE flagged AS FROM documents LIMIT 1"])


def test_shares_are_of_all_documents_whatever_table_they_are_found_in(tmp_path: Path) -> None:
    rules = [
        share("late", "that are late", "id::INTEGER > 3", 0, ""),
        share("flagged", "that are flagged", "true", 0, "", table="flagged"),
        Rule("elsewhere", "measured elsewhere", maximum=0),
    ]
    with opened(tmp_path, 4) as statistics:
        assert statistics.measure(rules) == {"late": 0.25, "flagged": 0.25}
        assert statistics.blame(rules, {"late": 0.25, "flagged": 0.0}) == {
            "late": [FailingDocument("4", "file")],
            "flagged": [],
        }


def test_failing_documents_are_limited_and_in_order(tmp_path: Path) -> None:
    with opened(tmp_path, 9) as statistics:
        blamed = statistics.blame([share("all", "", "true", 0, "")], {"all": 1}, most=3)
        assert [document.id for document in blamed["all"]] == ["1", "2", "3"]


def test_undefined_figures_are_zero(tmp_path: Path) -> None:
    with opened(tmp_path, 0) as statistics:
        rules = [share("none", "", "true", 0, ""), Rule("n", "", aggregate="quantile_disc(id::INT, 0.5)")]
        assert statistics.measure(rules) == {"none": 0, "n": 0}


def test_what_exceeds_the_memory_is_spilled(tmp_path: Path) -> None:
    with opened(tmp_path, 1) as statistics:
        limit, folder = statistics.rows(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
        )[0]
    assert (limit, folder) == ("953.6 MiB", str(tmp_path / "spill"))


def test_missing_files_and_quotes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"shards/\*\.parquet"):
        parquet(tmp_path / "shards")
    assert literals(["it's", "b"]) == "'it''s', 'b'"
    assert literals([]) == "NULL"
