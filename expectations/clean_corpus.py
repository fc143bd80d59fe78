"""The checkpoint between cleaning and training: what a clean corpus has to be.

A rule is a figure over the corpus and the range it must lie in. Rules whose limit is not set do not
exist, so a report lists what was demanded and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from expectations.checkpoint import Rule

Share = Annotated[float, Field(ge=0, le=1)]


class CorpusDemands(BaseModel):
    """The thresholds; shares are fractions of all documents, lengths are in characters (code points)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        None, description="licences every document must have one of, as collected; none: any"
    )
    max_source_share: Share | None = Field(None, description="largest share of one source; none: any")
    max_personal_data_share: Share = Field(
        0.01, description="most documents with an e-mail address, phone or identity number left"
    )
    max_mojibake_share: Share = Field(0.005, description="most documents with wrongly decoded characters")
    max_unreadable_share: Share = Field(
        0.005, description="most documents with replacement or control characters"
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


def suite(demands: CorpusDemands) -> list[Rule]:
    """The rules that follow from the demands, in the order in which they are reported."""
    return [*_size(demands), *_documents(demands), *_text(demands), *_mixture(demands)]


def _size(demands: CorpusDemands) -> Iterator[Rule]:
    yield Rule(
        "documents",
        "number of documents",
        "count(*)",
        demands.min_documents,
        demands.max_documents,
        advice="collect from more sources, drop less in cleaning, or lower min_documents",
    )
    yield Rule(
        "kept_share",
        "share of the collected documents that cleaning kept",
        "count(*) / (count(*) + (SELECT count(*) FROM dropped))",
        demands.min_kept_share,
        advice="read report.json of the clean stage: one filter probably drops nearly everything",
    )


def _documents(demands: CorpusDemands) -> Iterator[Rule]:
    yield _share(
        "duplicates",
        "that are surplus copies",
        "surplus_copy",
        demands.max_duplicate_share,
        "clean again: cleaning drops these, so the shards were changed",
    )
    yield _share(
        "empty_text",
        "without text",
        "empty_text",
        0,
        "clean again: cleaning drops these, so the shards were changed",
    )
    yield _share(
        "untraceable",
        "without id, source or uri",
        "untraceable",
        0,
        "have the collecting source name where each document comes from",
    )
    if demands.allowed_licenses is not None:
        yield _share(
            "licenses",
            "without an allowed licence",
            f"license NOT IN ({_literals(demands.allowed_licenses)})",
            0,
            "exclude the sources of these documents, or add their licence to allowed_licenses",
        )


def _text(demands: CorpusDemands) -> Iterator[Rule]:
    lowest, highest = demands.median_characters
    yield Rule(
        "shortest",
        "length that 99 % of the documents reach, in characters",
        "quantile_disc(characters, 0.01)",
        demands.min_characters,
        failing=f"characters < {demands.min_characters}",
        advice="raise the least length in cleaning, or lower min_characters",
    )
    yield Rule(
        "median_length",
        "median length of a document in characters",
        "quantile_disc(characters, 0.5)",
        lowest,
        highest,
        failing=f"characters NOT BETWEEN {lowest} AND {highest}",
        advice="look at the sources: fragments or whole books instead of documents? or set median_characters",
    )
    yield Rule(
        "longest",
        "length that 99 % of the documents keep below, in characters",
        "quantile_disc(characters, 0.99)",
        None,
        demands.max_characters,
        failing=f"characters > {demands.max_characters}",
        advice="lower the greatest length in cleaning, or raise max_characters",
    )
    yield _share(
        "personal_data",
        "with an e-mail address, phone or identity number",
        "personal_data",
        demands.max_personal_data_share,
        "mask them at the source, leave the source out, or raise max_personal_data_share",
    )
    yield _share(
        "mojibake",
        "with wrongly decoded characters",
        "mojibake",
        demands.max_mojibake_share,
        "collect these sources in their true encoding (cleaning repairs what it can), or leave them out",
    )
    yield _share(
        "unreadable",
        "with replacement or control characters",
        "unreadable",
        demands.max_unreadable_share,
        "collect these sources in their true encoding, or leave out those that were damaged before",
    )


def _mixture(demands: CorpusDemands) -> Iterator[Rule]:
    if demands.max_source_share is not None:
        yield Rule(
            "largest_source",
            "share of the largest source",
            "(SELECT max(n) FROM (SELECT count(*) AS n FROM documents GROUP BY source)) / count(*)",
            None,
            demands.max_source_share,
            advice="collect more from the other sources, or raise max_source_share",
        )
    if demands.languages is not None:
        yield _share(
            "other_languages",
            "in a language that is not listed",
            f"language NOT IN ({_literals(demands.languages)})",
            demands.max_other_language_share,
            "let cleaning keep the listed languages only, or add these to languages",
        )
        for language, least in demands.languages.items():
            if least > 0:
                yield Rule(
                    f"language_{language}",
                    f"share of documents in {language}",
                    f"count_if(language = {_literals([language])}) / count(*)",
                    least,
                    advice=f"collect more documents in {language}, or lower its least share",
                )


def _share(name: str, what: str, predicate: str, most: float, advice: str) -> Rule:
    aggregate = f"count_if({predicate}) / count(*)"
    return Rule(name, f"share of documents {what}", aggregate, None, most, failing=predicate, advice=advice)


def _literals(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values) or "NULL"
