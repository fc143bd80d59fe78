"""How far a corpus has moved from the one before: shares of lengths, languages and sources."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from pydantic import BaseModel, ConfigDict

LEAST_SHARE = 1e-4  # what a class that is missing on one side counts as there


class Profile(BaseModel):
    """What a clean corpus consists of; numbers of documents by class.

    `lengths` has a class per power of two: "64" are documents of 64 to 127 characters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept_share: float
    lengths: dict[str, int]
    languages: dict[str, int]
    sources: dict[str, int]


def stability_index(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """The population stability index of two distributions: the sum of (p - q) ln(p / q) over the classes.

    0 for equal shares; by convention below 0.1 is no change and above 0.25 a large one (Siddiqi, Credit
    Risk Scorecards, 2006). Two empty distributions are equal.
    """
    total_before, total_now = sum(before.values()) or 1, sum(now.values()) or 1
    index = 0.0
    for name in sorted({*before, *now}):
        p = max(before.get(name, 0) / total_before, LEAST_SHARE)
        q = max(now.get(name, 0) / total_now, LEAST_SHARE)
        index += (p - q) * log(p / q)
    return index


def drift(before: Profile, now: Profile) -> dict[str, float]:
    """The figures of the drift rules: three stability indices, and the change of the kept share."""
    return {
        "length_drift": stability_index(before.lengths, now.lengths),
        "language_drift": stability_index(before.languages, now.languages),
        "source_drift": stability_index(before.sources, now.sources),
        "kept_share_drift": abs(now.kept_share - before.kept_share),
    }
