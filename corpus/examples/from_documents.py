"""Examples made of the corpus' documents: parts of a text and its `meta`, in the corpus' own division."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from corpus.documents import read_documents
from corpus.errors import CorpusError
from corpus.examples.config import FEWEST_DOCUMENTS, FEWEST_HELD_OUT, DocumentsExamples
from corpus.examples.from_row import Fields
from corpus.examples.hidden_names import MASK, hider
from corpus.examples.label_checks import check_spellings
from corpus.examples.labels import is_missing
from corpus.examples.splits import SPLITS, Split, Splits
from corpus.examples.with_rows import ExampleWithRow, assembled, chosen, example_in
from corpus.reading.dotted_paths import value_at
from corpus.reading.rows import Row
from corpus.reading.skipped import Skipped

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import TaskType

Parts = Mapping[str, Any]
# The signs of Hindi, Arabic and Urdu among those before a space.
_SENTENCE_END = re.compile(r"(?<=[.!?。！？।॥؟۔])\s+|(?<=[。！？])")
_LOWER = (
    f"lower examples.min_documents (at least {FEWEST_DOCUMENTS}) or examples.min_held_out (at least "
    f"{FEWEST_HELD_OUT})"
)


def document_examples(
    documents: Path, splits: Path, config: DocumentsExamples, group_by: str = "", mask: str = MASK
) -> Splits:
    """The examples of cleaned documents, sorted by the documents' ids.

    Args:
        documents: a folder of shards.
        splits: the Parquet file of (id, split) that the corpus was divided by.
        group_by: the key of `meta` that it was not divided within; empty for none.
        mask: what stands for a name that is hidden.

    Raises:
        CorpusError: no document has what the recipe asks for, fewer than two labels are left, or one that
            the recipe names is not.
    """
    from model_code.task_types.task import task_named

    task = task_named(config.task)
    fields = Fields(task.FIELDS, config.columns, config.separator, names=config.names)
    fields.check(config.min_words, "min_words")
    fields.check(config.max_words, "max_words")
    found, left_out = list(_found(documents, task, fields, config)), dict[str, str]()
    split_of = _read_splits(splits)
    if label := next((name for name, field in task.FIELDS.items() if field.kind in ("label", "labels")), ""):
        check_spellings(found, fields.remarks)
        found, left_out = _learnable(found, label, split_of, config)
    labels = task.labels_of([one.example for one in found])
    hide = hider(labels, config.aliases, mask) if config.mask_names and labels else str
    texts = [name for name, field in task.FIELDS.items() if field.kind == "text"]
    divided: dict[Split, list[ExampleWithRow]] = {split: [] for split in SPLITS}
    for one in sorted(found, key=lambda one: one.row.id):
        split = split_of[one.row.id]
        hidden = _each_text(one, texts, hide)
        divided[split].append(hidden)
        if config.summaries and split == "train":
            summary = _each_text(hidden, texts, first_sentence)
            divided[split] += [summary] if summary != hidden else []
    _check_not_empty(divided, fields.remarks)
    return assembled(
        chosen(divided, config), labels, fields.remarks, left_out, lambda one: one.row.values.get(group_by)
    )


def first_sentence(text: str) -> str:
    """The text up to the end of its first sentence or paragraph, whichever comes first."""
    return _sentence_and_rest(text)[0]


def _sentence_and_rest(text: str) -> tuple[str, str]:
    text = text.strip()
    paragraph = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    sentence = _SENTENCE_END.split(paragraph, maxsplit=1)[0]
    return " ".join(sentence.split()), text[len(sentence) :].strip()


def _found(
    documents: Path, task: TaskType, fields: Fields, config: DocumentsExamples
) -> Iterator[ExampleWithRow]:
    for row in _rows(documents):
        if reason := _unfit(row.values, fields, config):
            fields.remarks[reason] += 1
        else:
            yield example_in(row, fields, task)


def _rows(documents: Path) -> Iterator[Row]:
    """A row per document, its values what it offers by name."""
    for batch in read_documents(documents, ["id", "uri", "text", "meta"]):
        columns = (batch[name].to_pylist() for name in ("id", "uri", "text", "meta"))
        for id, uri, text, meta in zip(*columns, strict=True):
            sentence, rest = _sentence_and_rest(text)
            offered = {"id": id, "text": text, "first_sentence": sentence, "rest": rest}
            yield Row(f"{uri} (document {id})", 0, json.loads(meta) | offered, id)


def _unfit(parts: Parts, fields: Fields, config: DocumentsExamples) -> str:
    """Why no example can be made of a document; empty when one can."""
    for name, field in fields.fields.items():
        words, columns = 0, fields.columns_of(name)
        for column in columns:
            part = _part(parts, column)
            nothing = is_missing(part) or (part == "" and field.kind != "labels")
            if nothing and (field.required or name in config.columns):
                return f"documents without {column}"
            words += len(str("" if nothing else part).split())
        if words < config.min_words.get(name, 0):
            return f"documents with fewer than {config.min_words[name]} words in {', '.join(columns)}"
        if words > config.max_words.get(name, words):
            return f"documents with more than {config.max_words[name]} words in {', '.join(columns)}"
    return ""


def _part(parts: Parts, column: str) -> Any:
    try:
        return value_at(parts, column)
    except Skipped:
        return None


def _learnable(
    examples: Sequence[ExampleWithRow], label: str, split_of: Mapping[str, Split], config: DocumentsExamples
) -> tuple[list[ExampleWithRow], dict[str, str]]:
    """The examples of labels that can be learnt and judged, and why the other labels are left out.

    An example with several labels keeps those that can.
    """
    by_label: dict[str, list[ExampleWithRow]] = defaultdict(list)
    for one in examples:
        for name in one.labels:
            if not config.only or name in config.only:
                by_label[name].append(one)
    left_out = {
        name: reason
        for name, found in sorted(by_label.items())
        if (reason := _too_few([split_of[one.row.id] for one in found], config))
    }
    labels = sorted(by_label.keys() - left_out.keys())
    if missing := sorted(set(config.only) - set(labels)):
        raise CorpusError(
            f"examples: label {missing[0]!r} has {left_out.get(missing[0], 'no documents')}; collect more, "
            f"take it out of examples.only, or {_LOWER}"
        )
    has_several = examples[0].fields[label].kind == "labels" if examples else False
    if len(labels) < (1 if has_several else 2):
        sizes = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5]) or "none"
        raise CorpusError(
            f"examples: {'a label is' if has_several else 'two labels are'} needed, {len(labels)} of "
            f"{config.columns.get(label, label)} is large enough. Left out: {sizes}. Collect more, or "
            f"{_LOWER}"
        )
    if has_several:
        return [_with_labels(one, label, sorted(set(one.labels) & set(labels))) for one in examples], left_out
    return [one for name in labels for one in _sample(by_label[name], config)], left_out


def _too_few(splits: Sequence[Split], config: DocumentsExamples) -> str:
    """Why a label can't be learnt and judged; empty when it can."""
    if len(splits) < config.min_documents:
        return f"{len(splits)} documents, fewer than {config.min_documents}"
    counts = Counter(splits)
    for split in ("validation", "test"):
        if counts[split] < config.min_held_out:
            return f"{counts[split]} documents in {split}, fewer than {config.min_held_out}"
    return ""


def _sample(examples: list[ExampleWithRow], config: DocumentsExamples) -> list[ExampleWithRow]:
    examples.sort(key=lambda one: one.row.id)
    if len(examples) <= config.max_documents:
        return examples
    return random.Random(config.seed).sample(examples, config.max_documents)


def _with_labels(one: ExampleWithRow, field: str, labels: list[str]) -> ExampleWithRow:
    return replace(one, example=one.example | {field: labels}, labels=labels)


def _each_text(one: ExampleWithRow, texts: Sequence[str], change: Callable[[str], str]) -> ExampleWithRow:
    changed = {name: change(one.example[name]) for name in texts if name in one.example}
    return replace(one, example=one.example | changed)


def _check_not_empty(divided: Mapping[Split, Sequence[ExampleWithRow]], remarks: Mapping[str, int]) -> None:
    if empty := [split for split in SPLITS if not divided[split]]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in remarks.items()) or "there is none"
        raise CorpusError(
            f"examples: no document of the {empty[0]} split gives an example ({reasons}). A document offers "
            "text, first_sentence, rest and the keys of its meta: correct examples.columns, lower "
            "examples.min_words, or collect more"
        )


def _read_splits(path: Path) -> dict[str, Split]:
    table = pq.read_table(path)
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
