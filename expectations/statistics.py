"""Figures over the Parquet files of an artifact, within a bounded memory and without keeping a text.

Great Expectations on a million rows costs minutes and gigabytes and copies failing values into its
reports. So DuckDB scans the columns that a figure needs, and what is judged and shown later are figures,
ids and addresses. What does not fit the memory is spilled to a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.judgement import FailingDocument, Rule

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GB"
MOST_THREADS = 8  # each takes its share of the memory
FAILING_DOCUMENTS = 20


class Statistics:
    """Tables and views over an artifact, to be asked for the figures of rules and the documents to blame.

    Every checkpoint defines a view `documents` with at least the columns id and uri.

    Args:
        spill: a folder for what exceeds the memory; made when needed.
        tables: SQL statements that define the tables and views.

    Raises:
        duckdb.Error: a file is unreadable or lacks a column.
    """

    def __init__(self, spill: Path, tables: Iterable[str]) -> None:
        import duckdb

        self._database: DuckDBPyConnection = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "temp_directory": str(spill),
                "threads": min(os.cpu_count() or 1, MOST_THREADS),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,  # nothing is fetched
            }
        )
        for statement in tables:
            self._database.execute(statement)

    def measure(self, rules: Sequence[Rule]) -> dict[str, float]:
        """The figure of every rule that has an aggregate, in one scan; 0 where it is undefined."""
        measured = {rule.name: rule.aggregate for rule in rules if rule.aggregate}
        columns = ", ".join(f"coalesce(nullif(({sql})::DOUBLE, 'nan'), 0)" for sql in measured.values())
        row = self._database.execute(f"SELECT {columns} FROM documents").fetchone()
        return dict(zip(measured, row or (), strict=True))

    def blame(
        self, rules: Sequence[Rule], figures: Mapping[str, float], most: int = FAILING_DOCUMENTS
    ) -> dict[str, list[FailingDocument]]:
        """For every rule that single documents can break, the first `most` that do, by id and uri."""
        return {
            rule.name: self._failing(rule, most) if figures[rule.name] or rule.minimum else []
            for rule in rules
            if rule.failing is not None
        }

    def _failing(self, rule: Rule, most: int) -> list[FailingDocument]:
        found = self.rows(
            f"SELECT coalesce(id, ''), coalesce(uri, '') FROM {rule.table} WHERE {rule.failing} "
            f"ORDER BY id, uri LIMIT {most:d}"
        )
        return [FailingDocument(*row) for row in found]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        return self._database.execute(query).fetchall()

    def __enter__(self) -> Statistics:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()


def parquet(directory: Path, pattern: str = "*.parquet") -> str:
    """`read_parquet([...])` over the files of a folder, in order.

    Raises:
        FileNotFoundError: there is none.
    """
    paths = sorted(directory.glob(pattern))
    if not paths:
        raise FileNotFoundError(directory / pattern)
    return f"read_parquet([{literals(map(str, paths))}])"


def literals(values: Iterable[str]) -> str:
    """SQL string literals, separated by commas; NULL when there are none."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values) or "NULL"


def share(name: str, what: str, predicate: str, most: float, advice: str, table: str = "documents") -> Rule:
    """The rule that at most this share of the documents fulfils a predicate on a row of `table`."""
    counted = f"count_if({predicate})"
    if table != "documents":
        counted = f"(SELECT {counted} FROM {table})"
    return Rule(
        name,
        f"share of documents {what}",
        maximum=most,
        advice=advice,
        aggregate=f"{counted} / count(*)",
        failing=predicate,
        table=table,
    )
