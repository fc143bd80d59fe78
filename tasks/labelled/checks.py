"""What is asked of a set as a whole: labels that can be learnt and judged, and test examples that are new."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from tasks.errors import StageError
from tasks.labelled.rows import Row
from tasks.labelled.splits import Example, Split

SHOWN = 10


@dataclass(frozen=True)
class Found:
    """An example and the row that it was read from; its labels, and the fields that are to be learnt."""

    row: Row
    example: Example
    labels: Sequence[str]
    targets: frozenset[str]

    @cached_property
    def inputs(self) -> str:
        """32 hex characters: what is known of the example before its answer is."""
        return _digest(self.example[name] for name in sorted(self.example.keys() - self.targets))

    @cached_property
    def answer(self) -> str:
        """32 hex characters: what is to be learnt of it."""
        return _digest(self.example[name] for name in sorted(self.example.keys() & self.targets))


def check_labels(splits: Mapping[Split, Sequence[Found]], fewest: int) -> list[str]:
    """The labels of the training examples, sorted.

    Args:
        fewest: how many there have to be; 0 for a task without any.

    Raises:
        StageError: there are fewer, or a held-out example has a label that no training example has.
    """
    labels = sorted({label for found in splits["train"] for label in found.labels})
    if len(labels) < fewest:
        first = splits["train"][0].row
        raise StageError(
            f"examples: {first.file}: every training example has the label {labels[0]!r}; two are needed. "
            "Is examples.columns right?"
            if labels
            else f"examples: {first.file}: no training example has a label. Is examples.columns right?"
        )
    for split in ("validation", "test"):
        for found in splits[split]:
            if unknown := sorted(set(found.labels) - set(labels)):
                raise found.row.wrong(
                    f"no training example has the label {unknown[0]!r} of this {split} example; they have "
                    f"{', '.join(labels[:SHOWN])}{', …' if len(labels) > SHOWN else ''}. Correct it, take "
                    "the example out, or add training examples of it"
                )
    return labels


def repetitions(splits: Mapping[Split, Sequence[Found]]) -> dict[str, int]:
    """How many examples occur again, with another answer, or in training and on a held-out side, too."""
    answers: dict[str, set[str]] = {}
    for found in splits["train"]:
        answers.setdefault(found.inputs, set()).add(found.answer)
    distinct = sum(map(len, answers.values()))
    return {
        "training examples that repeat another": len(splits["train"]) - distinct,
        "training inputs with several answers": sum(len(several) > 1 for several in answers.values()),
        "validation examples whose input is in training": _among(splits["validation"], answers),
        "test examples whose input is in training": _among(splits["test"], answers),
    }


def _among(held_out: Sequence[Found], inputs: Mapping[str, object]) -> int:
    return sum(found.inputs in inputs for found in held_out)


def _digest(values: Iterator[object]) -> str:
    text = json.dumps(list(values), sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()
