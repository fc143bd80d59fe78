"""Which key of a recipe sets what drops documents, so that a message can name it."""

from __future__ import annotations

from collections.abc import Mapping

_PLACES = {
    "empty": "collect.sources (no document has any text)",
    "language": "clean.languages",
    "contaminated": "clean.decontaminate, or collect.evaluation_sets if they hold the corpus itself",
    "exact_duplicate": "collect.sources (many hold the same texts)",
    "near_duplicate": "clean.duplicates.near",
    "mix": "clean.mix",
}
_BY_WORDS = "words_"
# What the counts of the clean stage call a filter's documents.
DROPPED_BY = "dropped by "


def key_of_filter(reason: str) -> str:
    """The key that sets the filter of this name."""
    if reason.startswith(_BY_WORDS):
        return f"clean.word_lists.max_share.{reason.removeprefix(_BY_WORDS)}"
    return _PLACES.get(reason, f"clean.filters.thresholds.all.{reason}")


def most_dropped(dropped: Mapping[str, int]) -> tuple[str, int, str]:
    """The filter that dropped most, how many documents, and the key that sets it."""
    reason, count = max(dropped.items(), key=lambda item: item[1])
    return reason, count, key_of_filter(reason)
