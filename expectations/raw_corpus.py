"""The checkpoint between collecting and cleaning: what was collected is whole and can be traced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field

from expectations.judgement import Demands, Rule, Share
from expectations.statistics import Statistics, literals, parquet, share

# Column of a document shard -> physical type in Parquet.
COLUMNS = dict.fromkeys(
    ("id", "text", "source", "uri", "license", "language", "raw_digest", "encoding", "extractor", "meta"),
    "BYTE_ARRAY",
) | {"collected_at": "INT64"}
_NEEDED = ("id", "source", "uri", "license", "raw_digest", "encoding", "extractor")
_DIGEST = "[0-9a-f]{32}"
# What Python and the encoding standard call UTF-8 and its subset.
_UTF_8 = literals(("utf-8", "utf-8-sig", "utf8", "ascii", "us-ascii"))
UNTRACEABLE = (
    "coalesce(source, '') = '' OR coalesce(uri, '') = '' OR coalesce(encoding, '') = '' "
    f"OR coalesce(extractor, '') = '' OR NOT coalesce(regexp_full_match(raw_digest, '{_DIGEST}'), false)"
)


class RawDemands(Demands):
    """The thresholds; shares are fractions of all collected documents."""

    min_documents: int = Field(1, ge=1, description="fewest documents collected")
    min_documents_per_source: int = Field(1, ge=0, description="fewest documents of each source")
    allowed_licenses: tuple[str, ...] | None = Field(
        None, min_length=1, description="licences every document must have one of; none: any"
    )
    allowed_encodings: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="encodings every document must have been in (`utf-8`, `gb18030`); none: any",
    )
    max_converted_share: Share = Field(
        1.0, description="most documents that were in another encoding than UTF-8"
    )
    max_left_out_share: Share = Field(
        0.5, description="most records left out, among these and the documents: unreadable, too large"
    )

    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are reported."""
        return list(_rules(self))


def open_raw_corpus(collected: Path, spill: Path, on_purpose: Iterable[str]) -> Statistics:
    """The tables `documents` (without texts), `schema_faults`, `sources` and `skipped` of an artifact.

    Args:
        collected: the artifact, with `documents/`, `ledger.parquet` and `skipped.parquet`.
        spill: as in `Statistics`.
        on_purpose: reasons for which records were left out without any loss; `skipped` is without these.

    Raises:
        duckdb.Error: a file is unreadable.
        FileNotFoundError: one is missing.
    """
    shards = parquet(collected / "documents")
    expected = ", ".join(f"('{name}', '{kind}')" for name, kind in COLUMNS.items())
    statistics = Statistics(
        spill,
        [
            f"CREATE TABLE shard_columns AS SELECT file_name, name, type "
            f"FROM {shards.replace('read_parquet', 'parquet_schema')}",
            # A row for every column that a shard lacks or has with another type.
            "CREATE TABLE schema_faults AS SELECT name FROM (SELECT DISTINCT file_name FROM shard_columns) "
            f"CROSS JOIN (VALUES {expected}) AS expected(name, type) "
            "ANTI JOIN shard_columns USING (file_name, name, type)",
            # A source is told by its name and its first item.
            "CREATE VIEW sources AS SELECT source AS id, min(item) AS uri, sum(documents) AS documents "
            f"FROM {parquet(collected, 'ledger.parquet')} GROUP BY source",
            # Of the corpus, not of the evaluation sets.
            f"CREATE VIEW skipped AS FROM {parquet(collected, 'skipped.parquet')} "
            f"WHERE reason NOT IN ({literals(on_purpose)}) AND source IN (SELECT source FROM {shards})",
        ],
    )
    faulty = {name for (name,) in statistics.rows("SELECT DISTINCT name FROM schema_faults")}
    columns = ", ".join(f"NULL::VARCHAR AS {name}" if name in faulty else name for name in _NEEDED)
    statistics.rows(f"CREATE VIEW documents AS SELECT {columns} FROM {shards}")
    return statistics


def _rules(demands: RawDemands) -> Iterator[Rule]:
    yield Rule(
        "schema",
        "columns that a shard lacks or has with another type",
        maximum=0,
        advice="collect again: the shards were written by other code or changed since",
        aggregate="(SELECT count(*) FROM schema_faults)",
    )
    yield Rule(
        "documents",
        "number of documents",
        minimum=demands.min_documents,
        advice="collect from more sources, or lower min_documents",
        aggregate="count(*)",
    )
    yield share(
        "malformed_ids",
        "whose id is not a digest of 32 hexadecimal digits",
        f"NOT coalesce(regexp_full_match(id, '{_DIGEST}'), false)",
        0,
        "collect again: the shards were changed",
    )
    yield share(
        "untraceable",
        "without source, uri, digest of the raw bytes, encoding or extractor",
        UNTRACEABLE,
        0,
        "have the source's reader say where each document comes from",
    )
    if demands.allowed_licenses is not None:
        yield share(
            "licenses",
            "without an allowed licence",
            f"coalesce(license, '') NOT IN ({literals(demands.allowed_licenses)})",
            0,
            "exclude the sources of these documents, or add their licence to allowed_licenses",
        )
    if demands.allowed_encodings is not None:
        yield share(
            "encodings",
            "that were in an encoding that is not listed",
            f"coalesce(encoding, '') NOT IN ({literals(demands.allowed_encodings)})",
            0,
            "name the encoding of these files in the source, or add it to allowed_encodings",
        )
    yield share(
        "converted",
        "that were in another encoding than UTF-8",
        f"lower(encoding) NOT IN ({_UTF_8})",
        demands.max_converted_share,
        "look whether the encodings were detected rightly, or raise max_converted_share",
    )
    yield Rule(
        "left_out",
        "share of records left out",
        maximum=demands.max_left_out_share,
        advice="read skipped.parquet of the collect stage for the reasons, or raise max_left_out_share",
        aggregate="(SELECT count(*) FROM skipped) / (count(*) + (SELECT count(*) FROM skipped))",
    )
    yield Rule(
        "smallest_source",
        "documents of the source that gave the fewest",
        minimum=demands.min_documents_per_source,
        advice="look at these sources' paths, addresses and licences, or lower min_documents_per_source",
        aggregate="(SELECT min(documents) FROM sources)",
        failing=f"documents < {demands.min_documents_per_source}",
        table="sources",
    )
