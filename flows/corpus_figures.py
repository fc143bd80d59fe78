"""The bars in which a corpus is shown, in the terminal and in the report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MOST_BARS = 20


class Bars(NamedTuple):
    """Named numbers of documents (or of values), to be drawn as bars.

    `wholes` are the numbers that each is a part of, where there are such.
    """

    title: str
    heights: Sequence[tuple[str, int]]
    wholes: Mapping[str, int] | None = None

    def whole(self, name: str) -> int:
        """What the number of this name is a part of; itself where nothing is known."""
        return dict(self.heights)[name] if self.wholes is None else self.wholes.get(name, 0)

    @property
    def highest(self) -> int:
        """The greatest number that is drawn, at least 1."""
        return max([1, *(self.whole(name) for name, _ in self.heights)])

    @property
    def total(self) -> int:
        """The sum of all numbers, at least 1."""
        return max(1, sum(height for _, height in self.heights))


def corpus_bars(report: Mapping[str, Any]) -> list[Bars]:
    """What `report.json` of the clean stage says about languages, lengths, duplicates and so on.

    Figures that it lacks, and those that are all zero, are left out.
    """
    sources = {row["source"]: row["kept"] for row in report.get("mixing", [])}
    charts = [
        largest("languages of the kept documents", report.get("languages", {})),
        _lengths(**report.get("lengths", {"collected": {}, "kept": {}})),
        by_size("documents in a cluster of duplicates", report.get("duplicate_clusters", {})),
        largest("sources of the kept documents", sources),
        largest("masked personal data", report.get("personal_data", {})),
        largest("words of the word lists in kept documents", report.get("word_lists", {}).get("kept", {})),
    ]
    return [bars for bars in charts if any(height for _, height in bars.heights)]


def _lengths(collected: Mapping[str, int], kept: Mapping[str, int]) -> Bars:
    whole = by_size("lengths in characters, kept of collected", collected)
    part = dict(by_size("", kept).heights)
    return Bars(whole.title, [(name, part.get(name, 0)) for name, _ in whole.heights], dict(whole.heights))


def largest(title: str, numbers: Mapping[str | None, int]) -> Bars:
    """The greatest first; what is beyond 20 is one bar."""
    named = sorted(
        ((name or "none", n) for name, n in numbers.items() if n), key=lambda bar: (-bar[1], bar[0])
    )
    shown, rest = named[:MOST_BARS], named[MOST_BARS:]
    return Bars(title, [*shown, *([(f"{len(rest)} others", sum(n for _, n in rest))] if rest else [])])


def by_size(title: str, numbers: Mapping[str, int]) -> Bars:
    """By size, in classes from one power of two to the next; classes without any are shown as well."""
    classes: dict[int, int] = {}
    for size, n in numbers.items():
        power = max(1, int(size)).bit_length() - 1
        classes[power] = classes.get(power, 0) + n
    powers = range(min(classes), max(classes) + 1) if classes else ()
    return Bars(title, [(_span(power), classes.get(power, 0)) for power in powers])


def _span(power: int) -> str:
    return f"{2**power:,} to {2 ** (power + 1) - 1:,}" if power else "1"
