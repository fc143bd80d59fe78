"""Examples made of the corpus' documents: parts of a text and its `meta`, in the corpus' own division."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from tasks.documents import read_documents
from tasks.errors import StageError
from tasks.labelled.config import DocumentsExamples
from tasks.labelled.fields import Fields
from tasks.labelled.names import hider
from tasks.labelled.rows import Row
from tasks.labelled.splits import SPLITS, Example, Split, Splits
from tasks.labelled.splitting import limited, strata_of

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import TaskType

Parts = Mapping[str, str]
Divided = dict[Split, list[Example]]


def document_examples(documents: Path, splits: Path, config: DocumentsExamples) -> Splits:
    """The examples of cleaned documents, sorted by the documents' ids.

    Args:
        documents: a folder of shards.
        splits: the Parquet file of (id, split) that the corpus was divided by.

    Raises:
        StageError: no document has what the recipe asks for, fewer than two labels are left, or one that
            the recipe names is not.
    """
    from model_code.task_types.task import task_named

    task = task_named(config.task)
    fields = Fields(task.FIELDS, config.columns)
    fields.check(config.min_words, "min_words")
    fields.check(config.max_words, "max_words")
    label = next((name for name, field in task.FIELDS.items() if field.kind == "label" and field.target), "")
    texts = [name for name, field in task.FIELDS.items() if field.kind == "text"]
    split_of = _read_splits(splits)

    found, left_out = list(_examples(documents, task, fields, label, config)), dict[str, str]()
    if label:
        found, left_out = _learnable(found, label, split_of, config)
    labels = task.labels_of(found)
    if config.mask_names and labels:
        hide = hider(labels, config.aliases)
        found = [_each_text(example, texts, hide) for example in found]
    divided: Divided = {split: [] for split in SPLITS}
    for example in sorted(found, key=lambda example: str(example["id"])):
        divided[split_of[example["id"]]].append(example)
    if empty := [split for split in SPLITS if not divided[split]]:
        reasons = (
            ", ".join(f"{count:,} {reason}" for reason, count in fields.remarks.items()) or "no document"
        )
        raise StageError(
            f"examples: no document of the {empty[0]} split gives an example ({reasons}). A document offers "
            "text, first_sentence, rest and the keys of its meta: correct examples.columns, lower "
            "examples.min_words, or collect more"
        )
    if config.summaries:
        divided["train"] = _with_summaries(divided["train"], texts)
    chosen = {split: _limited(divided[split], task, config.limits[split], config.seed) for split in SPLITS}
    return Splits(chosen, labels, dict(fields.remarks), left_out)


def first_sentence(text: str) -> str:
    """The text up to the end of its first sentence or paragraph, whichever comes first."""
    return _sentence_and_rest(text)[0]


def _sentence_and_rest(text: str) -> tuple[str, str]:
    text = text.strip()
    paragraph = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    sentence = re.split(r"(?<=[.!?。！？])\s+|(?<=[。！？])", paragraph, maxsplit=1)[0]
    return " ".join(sentence.split()), text[len(sentence) :].strip()


def _examples(
    documents: Path, task: TaskType, fields: Fields, label: str, config: DocumentsExamples
) -> Iterator[Example]:
    for parts in _parts(documents):
        if reason := _unfit(parts, fields, config):
            fields.remarks[reason] += 1
            continue
        row = Row(f"document {parts['id']}", 1, parts)
        example = fields.example(row)
        if fault := task.fault(example):
            raise row.wrong(fault)
        if not label or not config.only or example[label] in config.only:
            yield {"id": parts["id"], **example}


def _parts(documents: Path) -> Iterator[Parts]:
    """What each document offers, by name."""
    for batch in read_documents(documents, ["id", "text", "meta"]):
        columns = (batch[name].to_pylist() for name in ("id", "text", "meta"))
        for id, text, meta in zip(*columns, strict=True):
            sentence, rest = _sentence_and_rest(text)
            yield {**json.loads(meta), "id": id, "text": text, "first_sentence": sentence, "rest": rest}


def _unfit(parts: Parts, fields: Fields, config: DocumentsExamples) -> str:
    """Why no example can be made of a document; empty when one can."""
    for name, field in fields.fields.items():
        column = fields.column(name)
        if (field.required or name in config.columns) and not parts.get(column):
            return f"documents without {column}"
        words = len(parts.get(column, "").split())
        if words < config.min_words.get(name, 0):
            return f"documents with fewer than {config.min_words[name]} words in {column}"
        if words > config.max_words.get(name, words):
            return f"documents with more than {config.max_words[name]} words in {column}"
    return ""


def _learnable(
    examples: Sequence[Example], label: str, split_of: Mapping[str, Split], config: DocumentsExamples
) -> tuple[list[Example], dict[str, str]]:
    """The examples of labels that can be learnt and judged, and why the other labels are left out."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_label[example[label]].append(example)
    left_out = {
        name: reason
        for name, found in sorted(by_label.items())
        if (reason := _too_few([split_of[example["id"]] for example in found], config))
    }
    labels = sorted(by_label.keys() - left_out.keys())
    if missing := sorted(set(config.only) - set(labels)):
        raise StageError(
            f"examples: label {missing[0]!r} has {left_out.get(missing[0], 'no documents')}; collect more, "
            "take it out of examples.only, or lower min_documents or min_held_out"
        )
    if len(labels) < 2:
        sizes = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5]) or "none"
        raise StageError(
            f"examples: two labels are needed, {len(labels)} of {config.columns.get(label, label)} is large "
            f"enough. Left out: {sizes}. Collect more, or lower examples.min_documents or min_held_out"
        )
    return [example for name in labels for example in _sample(by_label[name], config)], left_out


def _too_few(splits: Sequence[Split], config: DocumentsExamples) -> str:
    """Why a label can't be learnt and judged; empty when it can."""
    if len(splits) < config.min_documents:
        return f"{len(splits)} documents, fewer than {config.min_documents}"
    counts = Counter(splits)
    for split in ("validation", "test"):
        if counts[split] < config.min_held_out:
            return f"{counts[split]} documents in {split}, fewer than {config.min_held_out}"
    return ""


def _sample(examples: list[Example], config: DocumentsExamples) -> list[Example]:
    examples.sort(key=lambda example: str(example["id"]))
    if len(examples) <= config.max_documents:
        return examples
    return random.Random(config.seed).sample(examples, config.max_documents)


def _with_summaries(examples: Sequence[Example], texts: Sequence[str]) -> list[Example]:
    """Each example, and one more of the first sentence of its text."""
    both = ((example, _each_text(example, texts, first_sentence)) for example in examples)
    return [
        one for example, summary in both for one in ((example, summary) if summary != example else (example,))
    ]


def _each_text(example: Example, texts: Sequence[str], change: Callable[[str], str]) -> Example:
    return example | {name: change(example[name]) for name in texts if name in example}


def _limited(examples: Sequence[Example], task: TaskType, limit: int, seed: int) -> list[Example]:
    strata = strata_of([task.labels_of([example]) for example in examples])
    chosen = limited(strata, [example["id"] for example in examples], limit, seed)
    return [examples[index] for index in chosen]


def _read_splits(path: Path) -> dict[str, Split]:
    table = pq.read_table(path)
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
