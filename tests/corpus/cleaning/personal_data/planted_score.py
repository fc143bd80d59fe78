"""How much of what was planted is found, and how much of what is found was planted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.corpus.cleaning.personal_data.planted import Label, Planted


class Score(NamedTuple):
    """How many planted values were found, and how many finds were planted values."""

    planted: int
    recalled: int
    found: int
    right: int

    @property
    def recall(self) -> float:
        """Share of the planted values that was found."""
        return self.recalled / max(self.planted, 1)

    @property
    def precision(self) -> float:
        """Share of the finds that had been planted."""
        return self.right / max(self.found, 1)


def score(documents: Sequence[Planted], found: Sequence[Iterable[Label]]) -> dict[str, Score]:
    """Compare finds with labels, by kind and over `all`.

    A planted value is recalled when a find of its kind covers all of it; a find is right when it covers
    such a value and at most three characters more.
    """
    counts: dict[str, list[int]] = {}
    for document, finds in zip(documents, map(list, found), strict=True):
        for label in document.labels:
            covered = any(_covers(find, label) for find in finds)
            _add(counts, label.kind, (1, int(covered), 0, 0))
        for find in finds:
            right = any(
                _covers(find, label) and find.end - find.start <= label.end - label.start + 3
                for label in document.labels
            )
            _add(counts, find.kind, (0, 0, 1, int(right)))
    return {kind: Score(*counts[kind]) for kind in sorted(counts)}


def _covers(find: Label, label: Label) -> bool:
    return find.kind == label.kind and find.start <= label.start and label.end <= find.end


def _add(counts: dict[str, list[int]], kind: str, more: tuple[int, int, int, int]) -> None:
    for name in (kind, "all"):
        counts[name] = [a + b for a, b in zip(counts.get(name, [0] * 4), more, strict=True)]
