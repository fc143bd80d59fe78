"""Measures a corpus of any size as one row of figures, without a text ever leaving the database.

Great Expectations on a million rows costs minutes and gigabytes and copies failing values into its
reports. So DuckDB reads the Parquet once and keeps flags and lengths; what is judged and shown later
comes from those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Patterns in RE2 syntax. Phone numbers count with a country code, or as a Chinese mobile number;
# identity numbers are those of GB 11643-1999, whose birth date keeps other digits from matching.
E_MAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
PHONE = r"\+\d{1,3}[ .-]?\(?\d{2,4}\)?([ .-]?\d{2,4}){2,4}\b|\b1[3-9]\d{9}\b"
IDENTITY_NUMBER = r"\b[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])\d{3}[\dXx]\b"

# UTF-8 read as Latin-1 or Windows-1252, and UTF-8 that went through GBK and back.
MOJIBAKE = r"Ã[\x{80}-\x{BF}]|Â[\x{80}-\x{BF}]|â€|ï»¿|锟斤拷"

# The replacement character, and control characters other than tab, line feed and carriage return.
UNREADABLE = r"[\x{FFFD}\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"

_FLAG_DOCUMENTS = f"""
    CREATE TABLE documents AS
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY uri) > 1 AS surplus_copy
    FROM (
        SELECT
            coalesce(id, '') AS id,
            coalesce(uri, '') AS uri,
            coalesce(source, '') AS source,
            coalesce(license, '') AS license,
            coalesce(language, '') AS language,
            coalesce(length(text), 0) AS characters,
            trim(coalesce(text, ''), ' \t\r\n\u3000') = '' AS empty_text,
            coalesce(id, '') = '' OR coalesce(source, '') = '' OR coalesce(uri, '') = '' AS untraceable,
            coalesce(
                regexp_matches(text, '{E_MAIL}')
                OR regexp_matches(text, '{PHONE}')
                OR regexp_matches(text, '{IDENTITY_NUMBER}'), false) AS personal_data,
            coalesce(regexp_matches(text, '{MOJIBAKE}'), false) AS mojibake,
            coalesce(regexp_matches(text, '{UNREADABLE}'), false) AS unreadable
        FROM read_parquet($shards)
    )
"""


@dataclass(frozen=True, slots=True)
class FailingDocument:
    """A document that breaks a rule, without its text."""

    id: str
    uri: str


class CorpusStatistics:
    """The flags of all documents, to be aggregated and asked for the documents behind a figure.

    The table `documents` has a row per document: id, uri, source, license, language (missing ones are
    ''), characters (code points) and the flags surplus_copy, empty_text, untraceable, personal_data,
    mojibake, unreadable. The table `dropped` has the one column `filter`, a row per dropped document.

    Args:
        documents: a folder of Parquet shards with the columns id, text, source, uri, license, language.
        dropped: a folder of shards with the column filter; may be empty or missing.

    Raises:
        duckdb.Error: a shard is unreadable or lacks a column.
    """

    def __init__(self, documents: Path, dropped: Path) -> None:
        import duckdb

        # Nothing is fetched when an extension is missing; order by id makes every answer reproducible.
        self._database: DuckDBPyConnection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self._database.execute(_FLAG_DOCUMENTS, {"shards": _shards(documents)})
        self._database.execute("CREATE TABLE dropped (filter VARCHAR)")
        if shards := _shards(dropped):
            self._database.execute(
                "INSERT INTO dropped SELECT filter FROM read_parquet($shards)", {"shards": shards}
            )

    def measure(self, aggregates: Mapping[str, str]) -> dict[str, float]:
        """One figure per name: the value of a SQL aggregate over `documents`, 0 where it is undefined."""
        columns = ", ".join(f"coalesce(nullif(({sql})::DOUBLE, 'nan'), 0)" for sql in aggregates.values())
        row = self._database.execute(f"SELECT {columns} FROM documents").fetchone()
        return dict(zip(aggregates, row or (), strict=True))

    def failing(self, predicate: str, limit: int) -> list[FailingDocument]:
        """The first `limit` documents for which the SQL predicate is true, by id and uri."""
        rows = self._database.execute(
            f"SELECT id, uri FROM documents WHERE {predicate} ORDER BY id, uri LIMIT {limit:d}"
        ).fetchall()
        return [FailingDocument(*row) for row in rows]

    def composition(self) -> list[tuple[Any, ...]]:
        """(source, language, documents, characters) for every source and language, largest first."""
        return self._database.execute(
            "SELECT source, language, count(*), sum(characters)::BIGINT FROM documents "
            "GROUP BY source, language ORDER BY count(*) DESC, source, language"
        ).fetchall()

    def __enter__(self) -> CorpusStatistics:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()


def _shards(directory: Path) -> list[str]:
    return [str(path) for path in sorted(directory.glob("*.parquet"))]
