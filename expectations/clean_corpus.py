"""The checkpoint between cleaning and tokenizing: what a clean corpus has to be.

A rule is a figure over the corpus and the range it must lie in. Rules whose limit is not set do not
exist, so a report lists what was demanded and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from expectations.drift import Profile
from expectations.judgement import Demands, Rule, Share
from expectations.residual_patterns import ANY_PATTERN, FLAGS, MACROS, PERSONAL_DATA
from expectations.statistics import Statistics, literals, parquet, share

DRIFT = ("length_drift", "language_drift", "source_drift", "kept_share_drift")
# What the material is like as a whole, which cleaning keeps: headlines or books, letters full of addresses.
MATERIAL = ("median_length", "placeholders")
CLEAN_AGAIN = "clean again: cleaning drops these, so the shards were changed"
_ANY_PERSONAL_DATA = " OR ".join(PERSONAL_DATA)


class CleanDemands(Demands):
    """The thresholds; shares are fractions of all documents, lengths are in characters (code points)."""

    warn_only: tuple[str, ...] = Field(
        (*DRIFT, *MATERIAL),
        description="names of rules that warn and let the run go on; by default those of drift, and those "
        "about what cleaning keeps",
    )
    min_documents: int = Field(100, ge=1, description="fewest documents to train on")
    max_documents: int | None = Field(None, ge=1, description="most documents; none: no limit")
    min_kept_share: Share = Field(
        0.05, description="least share of the collected documents that cleaning keeps"
    )
    max_duplicate_share: Share = Field(0.0, description="most surplus copies of a document (equal ids)")
    min_characters: int = Field(10, ge=0, description="length that 99 % of the documents reach")
    median_characters: tuple[int, int] = Field(
        (15, 50_000), description="lowest and highest median length of a document"
    )
    max_characters: int = Field(200_000, ge=1, description="length that 99 % of the documents keep below")
    languages: dict[str, Share] | None = Field(
        None, description="allowed languages and the least share of each (0: may be absent); none: any"
    )
    max_other_language_share: Share = Field(
        0.0, description="most documents in a language that is not listed; without a list it has no effect"
    )
    allowed_licenses: tuple[str, ...] | None = Field(
        None, min_length=1, description="licences every document must have one of, as collected; none: any"
    )
    max_source_share: Share | None = Field(None, description="largest share of one source; none: any")
    max_personal_data_share: Share = Field(
        0.01,
        description="most documents with an address, phone, identity or account number, or secret left",
    )
    max_placeholder_share: Share = Field(0.5, description="most documents in which personal data was masked")
    max_mojibake_share: Share = Field(0.02, description="most documents with wrongly decoded characters")
    max_unreadable_share: Share = Field(
        0.005,
        description="most documents in which more than one in 100 characters is a replacement or control one",
    )

    max_length_drift: float = Field(
        0.25, ge=0, description="most change of the lengths since the last run (population stability index)"
    )
    max_language_drift: float = Field(0.25, ge=0, description="the same of the languages")
    max_source_drift: float = Field(0.25, ge=0, description="the same of the sources")
    max_kept_share_drift: Share = Field(
        0.1, description="most change of the kept share since the last run, up or down"
    )

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        lowest, highest = self.median_characters
        if lowest > highest:
            raise ValueError(f"median_characters: {lowest} to {highest} is an empty range")
        if self.max_documents is not None and self.max_documents < self.min_documents:
            raise ValueError(
                f"max_documents {self.max_documents} is below min_documents {self.min_documents}"
            )
        return self

    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are reported."""
        return [*_size(self), *_documents(self), *_text(self), *_mixture(self), *_drift(self)]


def open_clean_corpus(cleaned: Path, spill: Path) -> Statistics:
    """The tables of an artifact of the clean stage.

    `documents` (id, uri, source, license, language, characters, personal_data: number of masked values) has
    the kept documents, `dropped` the others; both come from the statistics, so no text is read for them.
    `flagged` has those kept documents in whose text one of the patterns was found, with a column per flag.

    Args:
        cleaned: the artifact, with `documents/`, `dropped/`, `statistics/`, `clusters.parquet` and
            `contaminated.parquet`.
        spill: as in `Statistics`.

    Raises:
        duckdb.Error: a file is unreadable or lacks a column.
        FileNotFoundError: one is missing.
    """
    statistics, documents = parquet(cleaned / "statistics"), parquet(cleaned / "documents")
    flags = ", ".join(f"{predicate} AS {flag}" for flag, predicate in FLAGS.items())
    columns = ", ".join(
        f"coalesce({column}, '') AS {column}" for column in ("id", "uri", "source", "license", "language")
    )
    return Statistics(
        spill,
        [
            *MACROS,
            f"CREATE VIEW documents AS SELECT {columns}, characters, personal_data "
            f"FROM {statistics} WHERE filter IS NULL",
            f"CREATE VIEW dropped AS SELECT id, uri, filter FROM {statistics} WHERE filter IS NOT NULL",
            f"CREATE VIEW kept_shards AS SELECT id FROM {documents}",
            f"CREATE VIEW dropped_shards AS SELECT id FROM {parquet(cleaned / 'dropped')}",
            f"CREATE VIEW contaminated AS SELECT id, uri FROM {parquet(cleaned, 'contaminated.parquet')}",
            "CREATE VIEW near_duplicates AS SELECT id, uri "
            f"FROM {parquet(cleaned, 'clusters.parquet')} WHERE NOT exact AND id != representative",
            f"CREATE TABLE flagged AS SELECT id, uri, {flags} FROM "
            f"(SELECT id, uri, coalesce(text, '') AS text FROM {documents}) "
            f"WHERE regexp_matches(text, '{ANY_PATTERN}') OR {FLAGS['empty_text']}",
        ],
    )


def profile_of(statistics: Statistics) -> Profile:
    """What the corpus consists of, for the comparison with the next one."""
    kept, dropped = statistics.rows(
        "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM dropped)"
    )[0]
    classes = "(CASE WHEN characters < 1 THEN 0 ELSE 2 ** floor(log2(characters)) END)::BIGINT::VARCHAR"

    def counts(what: str) -> dict[str, int]:
        return dict(statistics.rows(f"SELECT {what} AS class, count(*) FROM documents GROUP BY 1 ORDER BY 1"))

    return Profile(
        kept_share=kept / max(1, kept + dropped),
        lengths=dict(sorted(counts(classes).items(), key=lambda item: int(item[0]))),
        languages=counts("language"),
        sources=counts("source"),
    )


def residual_personal_data(statistics: Statistics) -> dict[str, int]:
    """Number of documents in which each kind of personal data is left."""
    columns = ", ".join(f"count_if({kind})" for kind in PERSONAL_DATA)
    return dict(zip(PERSONAL_DATA, statistics.rows(f"SELECT {columns} FROM flagged")[0], strict=True))


def _size(demands: CleanDemands) -> Iterator[Rule]:
    yield Rule(
        "documents",
        "number of documents",
        minimum=demands.min_documents,
        maximum=demands.max_documents,
        advice="collect from more sources, drop less in cleaning, or lower min_documents",
        aggregate="count(*)",
    )
    yield Rule(
        "unaccounted",
        "documents in the shards that are not in the statistics, or the other way round",
        maximum=0,
        advice="clean again: files of the artifact were changed",
        aggregate="abs(count(*) - (SELECT count(*) FROM kept_shards)) "
        "+ abs((SELECT count(*) FROM dropped) - (SELECT count(*) FROM dropped_shards))",
    )
    yield Rule(
        "kept_share",
        "share of the collected documents that cleaning kept",
        minimum=demands.min_kept_share,
        advice="see in `textmill corpus stats RECIPE` which filter drops most, and relax that",
        aggregate="count(*) / (count(*) + (SELECT count(*) FROM dropped))",
    )


def _documents(demands: CleanDemands) -> Iterator[Rule]:
    yield Rule(
        "duplicates",
        "share of documents that are surplus copies",
        maximum=demands.max_duplicate_share,
        advice=CLEAN_AGAIN,
        aggregate="(count(*) - count(DISTINCT id)) / count(*)",
        failing="id IN (SELECT id FROM documents GROUP BY id HAVING count(*) > 1)",
    )
    yield Rule(
        "near_duplicates",
        "documents found to be near duplicates of another and kept all the same",
        maximum=0,
        advice=CLEAN_AGAIN,
        aggregate="(SELECT count(*) FROM documents SEMI JOIN near_duplicates USING (id, uri))",
        failing="(id, uri) IN (SELECT (id, uri) FROM near_duplicates)",
    )
    yield share("empty_text", "without text", "empty_text", 0, CLEAN_AGAIN, table="flagged")
    yield share(
        "untraceable",
        "without id, source or uri",
        "id = '' OR source = '' OR uri = ''",
        0,
        "have the collecting source name where each document comes from",
    )
    if demands.allowed_licenses is not None:
        yield share(
            "licenses",
            "without an allowed licence",
            f"license NOT IN ({literals(demands.allowed_licenses)})",
            0,
            "exclude the sources of these documents, or add their licence to allowed_licenses",
        )
    yield Rule(
        "contaminated",
        "documents found in the evaluation sets and kept all the same",
        maximum=0,
        advice=CLEAN_AGAIN,
        aggregate="(SELECT count(*) FROM documents SEMI JOIN contaminated USING (id, uri))",
        failing="(id, uri) IN (SELECT (id, uri) FROM contaminated)",
    )


def _text(demands: CleanDemands) -> Iterator[Rule]:
    lowest, highest = demands.median_characters
    yield Rule(
        "shortest",
        "length that 99 % of the documents reach, in characters",
        minimum=demands.min_characters,
        advice="raise the least length in cleaning, or lower min_characters",
        aggregate="quantile_disc(characters, 0.01)",
        failing=f"characters < {demands.min_characters}",
    )
    yield Rule(
        "median_length",
        "median length of a document in characters",
        minimum=lowest,
        maximum=highest,
        advice="look at the sources: fragments or whole books instead of documents? or set median_characters",
        aggregate="quantile_disc(characters, 0.5)",
        failing=f"characters NOT BETWEEN {lowest} AND {highest}",
    )
    yield Rule(
        "longest",
        "length that 99 % of the documents keep below, in characters",
        maximum=demands.max_characters,
        advice="lower the greatest length in cleaning, or raise max_characters",
        aggregate="quantile_disc(characters, 0.99)",
        failing=f"characters > {demands.max_characters}",
    )
    yield share(
        "personal_data",
        "with an e-mail address, phone, identity, card or account number, or secret",
        _ANY_PERSONAL_DATA,
        demands.max_personal_data_share,
        "mask more in clean.personal_data, leave the source out, or raise max_personal_data_share",
        table="flagged",
    )
    yield share(
        "placeholders",
        "in which personal data was masked",
        "personal_data > 0",
        demands.max_placeholder_share,
        "look at what is masked (`textmill corpus show`): a source full of addresses, or numbers that are "
        "none? or raise max_placeholder_share",
    )
    yield share(
        "mojibake",
        "with wrongly decoded characters",
        "mojibake",
        demands.max_mojibake_share,
        "collect these sources in their true encoding (cleaning repairs what it can), or leave them out",
        table="flagged",
    )
    yield share(
        "unreadable",
        "with many replacement or control characters",
        "unreadable",
        demands.max_unreadable_share,
        "collect these sources in their true encoding, or leave out those that were damaged before",
        table="flagged",
    )


def _mixture(demands: CleanDemands) -> Iterator[Rule]:
    if demands.max_source_share is not None:
        yield Rule(
            "largest_source",
            "share of the largest source",
            maximum=demands.max_source_share,
            advice="collect more from the others, cap this one in clean.mix, or raise max_source_share",
            aggregate="(SELECT max(n) FROM (SELECT count(*) AS n FROM documents GROUP BY source)) / count(*)",
        )
    if demands.languages is not None:
        yield share(
            "other_languages",
            "in a language that is not listed",
            f"language NOT IN ({literals(demands.languages)})",
            demands.max_other_language_share,
            "let cleaning keep the listed languages only, or add these to languages",
        )
        for language, least in demands.languages.items():
            if least > 0:
                yield Rule(
                    f"language_{language}",
                    f"share of documents in {language}",
                    minimum=least,
                    advice=f"collect more documents in {language}, or lower its least share",
                    aggregate=f"count_if(language = {literals([language])}) / count(*)",
                )


def _drift(demands: CleanDemands) -> Iterator[Rule]:
    what = {
        "length_drift": ("change of the lengths since the last run", demands.max_length_drift),
        "language_drift": ("change of the languages since the last run", demands.max_language_drift),
        "source_drift": ("change of the sources since the last run", demands.max_source_drift),
        "kept_share_drift": ("change of the kept share since the last run", demands.max_kept_share_drift),
    }
    for name, (description, most) in what.items():
        advice = f"find out what changed in the sources or in cleaning, or raise max_{name}"
        yield Rule(name, description, maximum=most, advice=advice)
