"""How often a label is there: in how many examples, or, where it is a tag, at how many words.

A task's own list of labels has both tags of every type that occurs, whichever of them it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from corpus.examples.splits import SPLITS, Example, Split, Splits

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Field, TaskType

BEGINS = "B-"

CountsBySplit = dict[str, dict[Split, int]]


def occurrences(example: Example, fields: Mapping[str, Field], labels: Sequence[str]) -> Counter[str]:
    """The labels of an example, each once; of one with tags these, each as often as it is there."""
    tags = tag_fields(fields)
    return Counter(tag for name in tags for tag in example[name]) if tags else Counter(labels)


def tag_fields(fields: Mapping[str, Field]) -> list[str]:
    """The fields of a task that hold the tags that it learns."""
    return [name for name, field in fields.items() if field.kind == "tags" and field.target]


def counted(splits: Splits, task: TaskType) -> CountsBySplit:
    """Examples that have a label, or words that have a tag, by label and split."""
    found = {split: Counter[str]() for split in SPLITS}
    for split, examples in splits.examples.items():
        for example in examples:
            found[split].update(occurrences(example, task.FIELDS, task.labels_of([example])))
    return {label: {split: found[split][label] for split in SPLITS} for label in splits.labels}


def entities(counts: CountsBySplit, task: TaskType) -> CountsBySplit:
    """Entities by type and split, from the counts of tags, of which one begins each; empty without tags."""
    if not tag_fields(task.FIELDS):
        return {}
    return {tag.removeprefix(BEGINS): of for tag, of in counts.items() if tag.startswith(BEGINS)}
