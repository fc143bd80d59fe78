"""Examples with the rows that they come from, and the splits that are made of them in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from os.path import commonprefix
from typing import TYPE_CHECKING

from corpus.examples.config import DocumentsExamples, FilesExamples
from corpus.examples.from_row import Fields
from corpus.examples.label_counts import occurrences
from corpus.examples.splits import SPLITS, Example, Split, Splits
from corpus.examples.stratified import limited, strata_of
from corpus.examples.written_examples import IN_TRAINING
from corpus.reading.rows import Row

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Field, TaskType


@dataclass(frozen=True)
class ExampleWithRow:
    """An example, still without `id`, and its row; its labels, and the fields of its task."""

    row: Row
    example: Example
    labels: Sequence[str]
    fields: Mapping[str, Field]

    @cached_property
    def inputs(self) -> str:
        """32 hex characters: what is known of the example before its answer is."""
        return _digest(self._parts(target=False))

    @cached_property
    def answer(self) -> str:
        """32 hex characters: what is to be learnt of it."""
        return _digest(self._parts(target=True))

    def _parts(self, *, target: bool) -> Iterator[object]:
        """What its fields ask, or what they answer; a conversation answers with its last reply."""
        for name in sorted(self.example):
            value, field = self.example[name], self.fields[name]
            if field.kind == "messages":
                questions = len(value) - (value[-1]["role"] == "assistant")
                yield value[questions:] if target else value[:questions]
            elif field.target == target:
                yield value


def example_in(row: Row, fields: Fields, task: TaskType) -> ExampleWithRow:
    """The example in a row.

    Raises:
        CorpusError: there is none, or the task can't use it.
    """
    example = fields.example(row)
    if hasattr(task, "parted"):
        try:
            example = task.parted(example)
        except ValueError as error:
            raise row.wrong(str(error)) from error
    if fault := task.fault(example):
        raise row.wrong(fault)
    try:
        json.dumps([row.id, example], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise row.wrong("it has half a character (a lone surrogate such as \\ud83d); take it out") from error
    return ExampleWithRow(row, example, task.labels_of([example]), task.FIELDS)


def chosen(
    splits: Mapping[Split, Sequence[ExampleWithRow]], config: FilesExamples | DocumentsExamples
) -> dict[Split, list[ExampleWithRow]]:
    """As many examples of each split as the recipe allows."""
    some = {}
    for split, examples in splits.items():
        strata, keys = strata_of([one.labels for one in examples]), [one.inputs for one in examples]
        some[split] = [examples[index] for index in limited(strata, keys, config.limits[split], config.seed)]
    return some


def assembled(
    splits: Mapping[Split, Sequence[ExampleWithRow]],
    labels: Sequence[str],
    remarks: Mapping[str, int],
    left_out: Mapping[str, str],
    group_of: Callable[[ExampleWithRow], object] = lambda one: None,
) -> Splits:
    """The examples with their ids, and remarks on what occurs twice and on labels that can't be judged.

    An id is the file's own name for the example, or else its file and, if it has one, line. Where `group_of`
    tells what an example shares with others, such as its author, it has a `group`, a digest of that.
    """
    start = len(_folder([one.row.file for split in SPLITS for one in splits[split]]))
    examples = {
        split: [
            {
                "id": one.row.id or one.row.file[start:] + (f":{one.row.line}" if one.row.line else ""),
                **one.example,
                **_group(group_of(one)),
            }
            for one in found
        ]
        for split, found in splits.items()
    }
    judged = {label for one in splits["test"] for label in occurrences(one.example, one.fields, one.labels)}
    unjudged = {"labels that no test example has": len(set(labels) - judged)}
    return Splits(examples, list(labels), {**_repetitions(splits), **unjudged, **remarks}, left_out)


def _group(shared: object) -> dict[str, str]:
    return {} if shared in (None, "") else {"group": _digest([shared])[:16]}


def _repetitions(splits: Mapping[Split, Sequence[ExampleWithRow]]) -> dict[str, int]:
    answers: dict[str, set[str]] = {}
    for one in splits["train"]:
        answers.setdefault(one.inputs, set()).add(one.answer)
    held_out = {
        split: sum(one.inputs in answers for one in splits[split]) for split in ("validation", "test")
    }
    return {
        "training examples that repeat another": len(splits["train"]) - sum(map(len, answers.values())),
        "training inputs with several answers": sum(len(several) > 1 for several in answers.values()),
        **{f"{split} {IN_TRAINING}": count for split, count in held_out.items()},
    }


def _folder(files: Sequence[str]) -> str:
    """The beginning that all addresses share, up to a slash."""
    shared = commonprefix(files)  # noqa: RUF071  (commonpath would change URLs)
    return shared[: shared.rfind("/") + 1]


def _digest(values: Iterable[object]) -> str:
    text = json.dumps(list(values), sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()
