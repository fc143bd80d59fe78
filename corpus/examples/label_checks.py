"""What is asked of the labels of a set as a whole: that they can be learnt, and judged."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from corpus.errors import CorpusError
from corpus.examples.labels import likeness
from corpus.examples.splits import Split
from corpus.examples.with_rows import ExampleWithRow

SHOWN = 10


def check_labels(
    splits: Mapping[Split, Sequence[ExampleWithRow]], fewest: int, key: str = "columns"
) -> list[str]:
    """The labels of the training examples, sorted.

    Args:
        fewest: how many there have to be; 0 for a task without any.
        key: what the recipe says of where labels are.

    Raises:
        CorpusError: there are fewer, or a held-out example has a label that no training example has.
    """
    labels = sorted({label for example in splits["train"] for label in example.labels})
    if len(labels) < fewest:
        first = splits["train"][0].row
        raise CorpusError(
            f"examples: {first.file}: every training example has the label {labels[0]!r}; two are needed. "
            f"Is examples.{key} right?"
            if labels
            else f"examples: {first.file}: no training example has a label. Is examples.{key} right?"
        )
    for split in ("validation", "test"):
        for example in splits[split]:
            if unknown := sorted(set(example.labels) - set(labels)):
                raise example.row.wrong(
                    f"no training example has the label {unknown[0]!r} of this {split} example; they have "
                    f"{', '.join(labels[:SHOWN])}{', …' if len(labels) > SHOWN else ''}. Correct it, take "
                    "the example out, or add training examples of it"
                )
    return labels


def check_spellings(examples: Sequence[ExampleWithRow], remarks: Counter[str]) -> None:
    """Refuse labels that nobody can tell apart; count in `remarks` those that differ in case or width alone.

    Raises:
        CorpusError: there are two, with their places.
    """
    first: dict[str, ExampleWithRow] = {}
    for one in examples:
        for label in one.labels:
            first.setdefault(label, one)
    alike: dict[str, str] = {}
    folded: dict[str, str] = {}
    for label, one in first.items():
        if (other := alike.setdefault(likeness(label), label)) != label:
            raise one.row.wrong(
                f"the label {label!r} ({_points(label)}) looks like {other!r} ({_points(other)}) of "
                f"{first[other].row.place}; write both alike, or give one another name"
            )
        other = folded.setdefault(unicodedata.normalize("NFKC", label).casefold(), label)
        if other != label:
            remarks[f"labels that differ in case or width alone ({other!r}, {label!r})"] += 1


def _points(label: str) -> str:
    """The characters outside ASCII by number, where what they look like says nothing."""
    return " ".join(f"U+{ord(character):04X}" for character in label if character > "\x7f") or "ASCII"
