"""What cleaning demands of a document: every threshold, with what it is for.

The defaults keep most true documentation and prose, English and Chinese; each was set by
reading what falls on either side of it.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "uk", "zh"]


class CleanConfig(BaseModel):
    """Thresholds of the filters and of the near-duplicate search, in the order in which they apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_characters: int = Field(
        default=40,
        ge=1,
        description="shortest document; a Chinese, Japanese or Korean character counts as three",
    )
    max_characters: int = Field(default=200_000, ge=1, description="longest document, counted alike")
    languages: tuple[Language, ...] = Field(
        default=("en", "zh"),
        min_length=1,
        description="languages kept (ISO 639-1); also the only ones told apart",
    )
    min_letters: float = Field(
        default=0.5, ge=0, le=1, description="share of letters among non-space characters"
    )
    max_symbols: float = Field(
        default=0.25, ge=0, le=1, description="share of # | = < > \\ and the like, not of , . ; :"
    )
    max_repeated_lines: float = Field(
        default=0.5, ge=0, le=1, description="share of text in lines seen before in it"
    )
    max_repeated_phrases: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of windows of five words (ten characters of Chinese) seen before",
    )
    max_bullet_lines: float = Field(
        default=0.9, ge=0, le=1, description="share of lines that begin with a bullet"
    )
    max_ellipsis_lines: float = Field(
        default=0.5, ge=0, le=1, description="share of lines that end with an ellipsis"
    )
    max_code: float = Field(
        default=0.8, ge=0, le=1, description="share of text in doctest, code and table lines"
    )
    near_duplicate: float = Field(
        default=0.8,
        ge=0.5,
        le=1,
        description="least estimated Jaccard similarity of five-word shingles; 1: exact only",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of the MinHash permutations")
