"""What rows say once it is known which columns are meant: labels, lengths, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from corpus.examples.labels import LabelRule
from corpus.profiling.column import WordCounts, is_empty, lengths_of, list_of, words_in
from corpus.profiling.guess import Guess
from corpus.profiling.language import languages_in
from corpus.profiling.sample import Values
from corpus.reading.dotted_paths import value_at
from corpus.reading.skipped import Skipped

TARGETS = ("label", "labels", "tags", "score", "answers", "response", "target")
UNBALANCED = 10  # examples of the commonest label for one of the rarest
FEWEST = 10  # of a label: of fewer, validation and test have hardly one


@dataclass(frozen=True)
class Findings:
    """What was found in some rows.

    `labels` are counted by example, the commonest first (of tags those that begin a name). `lengths` are
    words of all texts that are read together. `no_text` and `no_label` count rows that a run refuses.
    `repeated` counts rows whose inputs were there before, `contradicting` inputs with several answers.
    """

    labels: Mapping[str, int]
    lengths: WordCounts | None
    languages: Sequence[str]
    no_text: int = 0
    no_label: int = 0
    repeated: int = 0
    contradicting: int = 0

    @property
    def rare(self) -> list[str]:
        """The labels with very few examples."""
        return [label for label, count in self.labels.items() if count < FEWEST]

    @property
    def is_unbalanced(self) -> bool:
        """Whether one label has many times the examples of another."""
        counts = self.labels.values()
        return len(self.labels) > 1 and max(counts) >= UNBALANCED * min(counts)


def findings(rows: Sequence[Values], guess: Guess) -> Findings:
    """Look at the fields of a guess in all rows."""
    rule, labels = LabelRule(guess.separator), Counter[str]()
    answers: dict[bytes, set[bytes]] = {}
    texts: list[str] = []
    counts: list[int] = []
    no_text = no_label = usable = 0
    written = [name for name in guess.columns if name in ("target", "response")]
    inputs = [name for name in guess.columns if name not in TARGETS]
    for row in rows:
        given = [_given(row, guess.columns[name]) for name in inputs]
        if any(not text.strip() for text in given):
            no_text += 1
            continue
        try:
            found = _labels(row, guess, rule)
        except ValueError:
            no_label += 1
            continue
        usable += 1
        labels.update(found)
        texts += [*given, *(_text(_value(row, guess.columns[name])) for name in written)]
        counts.append(sum(map(words_in, given)))
        targets = [repr(_value(row, guess.columns[name])) for name in guess.columns if name in TARGETS]
        answers.setdefault(_digest(given), set()).add(_digest(targets))
    return Findings(
        dict(labels.most_common()),
        lengths_of(counts),
        languages_in(texts),
        no_text,
        no_label,
        usable - len(answers),
        sum(len(several) > 1 for several in answers.values()),
    )


def labels_in(rows: Sequence[Values], guess: Guess) -> Counter[str]:
    """How many rows have each label; rows without one that can be used are left out."""
    rule, labels = LabelRule(guess.separator), Counter[str]()
    for row in rows:
        with suppress(ValueError):
            labels.update(_labels(row, guess, rule))
    return labels


def _labels(row: Values, guess: Guess, rule: LabelRule) -> list[str]:
    """The labels of a row, as a run makes them.

    Raises:
        ValueError: there is none, or it can't be used.
    """
    columns = guess.columns
    if "label" in columns:
        return [rule.one(_value(row, columns["label"]))]
    if "tags" in columns:
        tags = map(rule.one, list_of(_value(row, columns["tags"])) or [])
        return [tag[2:] for tag in tags if tag[:2] in ("B-", "S-", "U-")]
    if "labels" in columns and isinstance(columns["labels"], list):
        return rule.marked({name: _value(row, name) for name in columns["labels"]})
    if "labels" in columns:
        value = _value(row, columns["labels"])
        return [] if is_empty(value) else rule.several(value)
    if any(is_empty(_value(row, columns[name])) for name in columns if name in TARGETS and name != "answers"):
        raise ValueError
    return []


def _given(row: Values, columns: str | list[str]) -> str:
    """The text of a column, or those of several as one."""
    parts = [_text(_value(row, one)) for one in ([columns] if isinstance(columns, str) else columns)]
    return "\n".join(part for part in parts if part.strip())


def _value(row: Values, column: str | list[str]) -> Any:
    try:
        return value_at(row, str(column))
    except Skipped:
        return None


def _text(value: Any) -> str:
    """A text, or the words and messages that are read as one."""
    if (parts := list_of(value)) is not None:
        return " ".join(
            str(part.get("content", "")) if isinstance(part, Mapping) else str(part) for part in parts
        )
    return "" if is_empty(value) else str(value)


def _digest(texts: Sequence[str]) -> bytes:
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
