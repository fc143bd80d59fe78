"""What is asked of the labels of a set as a whole: that they can be learnt, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.errors import StageError
from tasks.labelled.found import Found
from tasks.labelled.splits import Split

SHOWN = 10


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
