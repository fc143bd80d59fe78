"""The labelled set: examples whose label can't be read off, divided as the corpus was.

The label is a field of a document's `meta`. Where labels are names that occur in the texts (a library in
its own documentation), every name of every label is replaced by the tokenizer's mask token, in all texts,
so that neither the presence nor the absence of a name gives the answer away.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
from pydantic import Field

from tasks.documents import read_documents
from tasks.errors import StageError
from tasks.stage import Config

MASK = "[MASK]"
LONG_NAME = 5  # letters
SPLITS = ("train", "validation", "test")


class LabelsConfig(Config):
    """Which documents are examples, and of what."""

    field: str = Field(description="Key of `meta` that holds the label.")
    only: tuple[str, ...] = Field((), description="Labels to use; empty: all with enough documents.")
    mask_names: bool = Field(False, description="Replace the labels' names in the texts.")
    aliases: dict[str, tuple[Annotated[str, Field(pattern=r"\S")], ...]] = Field(
        {}, description="Other names of a label, masked too."
    )
    min_documents: int = Field(100, ge=4, description="Labels with fewer documents are left out and named.")
    min_held_out: int = Field(
        5, ge=1, description="Labels with fewer documents in validation or test are left out and named."
    )
    max_documents: int = Field(2000, ge=4, description="Larger labels are sampled down to this many.")
    summaries: bool = Field(
        False, description="Train also on the first sentence of each text alone, the length of a question."
    )
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class LabelledSet:
    """Examples by split, each {"id", "text", "label"}; and the labels that were left out, with the reason."""

    labels: list[str]
    examples: dict[str, list[dict[str, str]]]
    left_out: dict[str, str]

    def counts(self) -> dict[str, dict[str, int]]:
        """Examples per label and split."""
        by_label: dict[str, dict[str, int]] = {label: dict.fromkeys(SPLITS, 0) for label in self.labels}
        for split, examples in self.examples.items():
            for example in examples:
                by_label[example["label"]][split] += 1
        return by_label


def label_documents(documents: Path, splits: Path, config: LabelsConfig) -> LabelledSet:
    """Build the labelled set from cleaned documents and their division.

    Raises:
        StageError: fewer than two labels are left, or one that the recipe names is not.
    """
    split_of = _read_splits(splits)
    by_label: dict[str, list[dict[str, str]]] = defaultdict(list)
    for id, text, label in _labelled(documents, config):
        by_label[label].append({"id": id, "text": text, "label": label, "split": split_of[id]})
    left_out = {
        label: reason for label, found in sorted(by_label.items()) if (reason := _too_few(found, config))
    }
    labels = sorted(by_label.keys() - left_out.keys())
    if missing := sorted(set(config.only) - set(labels)):
        raise StageError(
            f"fine_tune: label {missing[0]!r} has {left_out.get(missing[0], 'no documents')}; collect more, "
            "take it out of fine_tune.labels.only, or lower min_documents or min_held_out"
        )
    if len(labels) < 2:
        sizes = "; ".join(f"{label}: {reason}" for label, reason in list(left_out.items())[:5]) or "none"
        raise StageError(
            f"fine_tune: two labels are needed, {len(labels)} of meta.{config.field} is large enough. "
            f"Left out: {sizes}. Collect more, or lower fine_tune.labels.min_documents or min_held_out"
        )
    chosen = [example for label in labels for example in _sample(by_label[label], config)]
    hide = _hider(labels, config) if config.mask_names else str
    examples: dict[str, list[dict[str, str]]] = {split: [] for split in SPLITS}
    for example in sorted(chosen, key=lambda example: example["id"]):
        split = example.pop("split")
        text = hide(example["text"])
        examples[split].append({**example, "text": text})
        if config.summaries and split == "train" and (summary := first_sentence(text)) != text:
            examples[split].append({**example, "text": summary})
    return LabelledSet(labels, examples, left_out)


def first_sentence(text: str) -> str:
    """The text up to the end of its first sentence or paragraph, whichever comes first."""
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    sentence = re.split(r"(?<=[.!?。！？])\s+|(?<=[。！？])", paragraph, maxsplit=1)[0]
    return " ".join(sentence.split())


def names_pattern(names: set[str]) -> re.Pattern[str]:
    """Matches the names in any case, also inside compounds (`MlflowClient`, `is_torch_available`).

    Short names would also match in the middle of other words (`np` in "input"), so for them digits, `_`,
    `.` and the capital of a compound's next part end a word, and letters do not.
    """
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    # A name of several words may be broken by the end of a line.
    spelt = {name: r"\s+".join(map(re.escape, name.split())) for name in longest_first}
    anywhere = [spelt[name] for name in longest_first if len(name) >= LONG_NAME]
    as_words = [spelt[name] for name in longest_first if len(name) < LONG_NAME]
    word = rf"(?<![A-Za-z])(?i:{'|'.join(as_words)})(?:(?![A-Za-z])|(?=[A-Z][a-z]))" if as_words else ""
    return re.compile("|".join([*(f"(?i:{name})" for name in anywhere), *([word] if word else [])]))


def _hider(labels: list[str], config: LabelsConfig) -> type[str] | _Hide:
    names = {name for label in labels for name in (label, *config.aliases.get(label, ()))}
    return _Hide(names_pattern(names))


@dataclass(frozen=True)
class _Hide:
    pattern: re.Pattern[str]

    def __call__(self, text: str) -> str:
        return self.pattern.sub(MASK, text)


def _read_splits(path: Path) -> dict[str, str]:
    table = pq.read_table(path)
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))


def _labelled(documents: Path, config: LabelsConfig) -> Iterator[tuple[str, str, str]]:
    for batch in read_documents(documents):
        columns = (batch[name].to_pylist() for name in ("id", "text", "meta"))
        for id, text, meta in zip(*columns, strict=True):
            label = json.loads(meta).get(config.field)
            if label and (not config.only or label in config.only):
                yield id, text, str(label)


def _sample(examples: list[dict[str, str]], config: LabelsConfig) -> list[dict[str, str]]:
    examples.sort(key=lambda example: example["id"])
    if len(examples) <= config.max_documents:
        return examples
    return random.Random(config.seed).sample(examples, config.max_documents)


def _too_few(examples: list[dict[str, str]], config: LabelsConfig) -> str:
    """Why a label can't be learnt and judged; empty when it can."""
    if len(examples) < config.min_documents:
        return f"{len(examples)} documents, fewer than {config.min_documents}"
    counts = Counter(example["split"] for example in examples)
    for split in ("validation", "test"):
        if counts[split] < config.min_held_out:
            return f"{counts[split]} documents in {split}, fewer than {config.min_held_out}"
    return ""
