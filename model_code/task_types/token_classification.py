"""A tag for each word of a sentence: names of people and places, parts of an address (BIO tags).

Words are joined by spaces, since that is how the encoder was pretrained to see them, and the first token of a
word answers for it. A sentence that is too long is cut into overlapping windows; each word is taken from the
one that shows most of what surrounds it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForTokenClassification, PreTrainedModel

from model_code.data.frames import frame_of
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import architectures
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.served.token_classification import (
    OUTSIDE,
    Tags,
    entities,
    in_windows,
    most_probable,
    no_word_said,
)
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, micro_f1
from model_code.task_types.labels import choice, load_labelled
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import inputs_of, outputs, padded

FAMILIES = architectures(AutoModelForTokenClassification)
FIELDS = {"words": Field("words"), "tags": Field("tags", target=True)}
METRIC = SELECTION = "f1"
METRICS = ("accuracy", "precision", "recall", "f1")  # and all but the first of each type, as f1_LOC
BIO = re.compile(r"O|[BI]-.+")


@dataclass(frozen=True)
class Options:
    """Nothing of its own."""


def fault(example: Example) -> str:
    """A sentence without words, another number of tags than of words, or tags that are not BIO."""
    words, tags = example["words"], example.get("tags")
    if not words:
        return "it has no words"
    if tags is None:
        return ""
    if len(words) != len(tags):
        return f"it has {len(words)} words and {len(tags)} tags; every word needs one"
    if foreign := [tag for tag in tags if not BIO.fullmatch(tag)]:
        return f"the tag {foreign[0]!r} is none of BIO; write O, or B- or I- and a type"
    if astray := [tag for tag, begun in zip(tags, repaired(tags), strict=True) if tag != begun]:
        return f"the tag {astray[0]!r} continues nothing; an entity begins with B-"
    return ""


def labels_of(examples: Sequence[Example]) -> list[str]:
    """O, and B and I of every type that occurs, sorted."""
    types = {tag[2:] for example in examples for tag in example["tags"]} - {""}
    return sorted({OUTSIDE} | {f"{place}-{kind}" for place in "BI" for kind in types})


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """A classifier of tokens with one logit for each tag."""
    return load_labelled(directory, AutoModelForTokenClassification, settings)


@dataclass(frozen=True)
class Sentences:
    """Windows of sentences: their tokens, the places of the words that each answers for, and which these are.

    Words are numbered through all sentences: those of sentence i from `borders[i]` to `borders[i + 1]`.
    """

    ids: Sequence[Sequence[int]]
    places: Sequence[np.ndarray]
    words: Sequence[np.ndarray]
    borders: np.ndarray
    targets: np.ndarray | None
    weights: np.ndarray
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each window, int64 [windows]."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    def words_of(self, items: np.ndarray) -> np.ndarray:
        """The numbers of the words in the batch of these windows, in its order; int64 [words]."""
        return np.concatenate([self.words[i] for i in items])

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids`, `attention_mask` [B, S]; `at`, where words begin in the flattened rows; `targets`."""
        ids, mask = padded([self.ids[i] for i in items], self.pad)
        at = np.concatenate([row * ids.shape[1] + self.places[i] for row, i in enumerate(items)])
        tensors = {"input_ids": ids, "attention_mask": mask, "at": torch.from_numpy(at)}
        counts = {}
        if self.targets is not None:
            targets = self.targets[self.words_of(items)]
            tensors["targets"] = torch.from_numpy(targets)
            counts["tag"] = float(self.weights[targets].sum())
        return Batch(tensors, counts, int(mask.sum()))


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Sentences:
    """Windows of `max_length` tokens at most, special tokens included.

    A word that the tokenizer makes nothing of (a control character) has no place: it is not trained on, and
    is predicted to be outside.
    """
    frame = frame_of(tokenizer, vocabulary)
    sentences = [example["words"] for example in examples]
    return Sentences(
        *in_windows(sentences, tokenizer, frame, settings.max_length),
        _targets(examples, settings) if "tags" in examples[0] else None,
        np.array(settings.label_weights or np.ones(len(settings.labels))),
        vocabulary.filler,
    )


def _targets(examples: Sequence[Example], settings: Settings) -> np.ndarray:
    index = {label: i for i, label in enumerate(settings.labels)}
    tags = [(tag, example) for example in examples for tag in example["tags"]]
    for tag, example in tags:
        if tag not in index:
            raise TrainingError(
                f"example {example.get('id', '?')} has the tag {tag!r}, which no training example has "
                f"(they have {', '.join(settings.labels)}); add some or take it out"
            )
    return np.array([index[tag] for tag, _ in tags], np.int64)


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: `token_logits`, float32 [B, S, tags]."""
    return {"token_logits": model(**inputs_of(model, tensors)).logits.float()}


def logits(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits of the words in a batch, float32 [words, tags]."""
    tokens = model(**inputs_of(model, tensors)).logits
    words: torch.Tensor = tokens.flatten(0, 1)[tensors["at"]].float()
    return words


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Cross-entropy of the words' tags, weighted and smoothed as the settings say."""
    said = logits(model, tensors)
    return {"tag": choice(said, tensors["targets"], settings)}


def predict(model: Any, data: Sentences, runtime: Runtime, batch_size: int, settings: Settings) -> list[Tags]:
    """The most probable tags of each sentence as a whole, among those that are valid BIO."""
    of_words = no_word_said(int(data.borders[-1]), settings.labels)
    for items, words in outputs(lambda batch: logits(model, batch.tensors), model, data, runtime, batch_size):
        of_words[data.words_of(items)] = words.cpu().numpy()
    return [most_probable(of_words[start:end], settings.labels) for start, end in pairwise(data.borders)]


def repaired(tags: Sequence[str]) -> Tags:
    """BIO in which every entity begins with B: an I that continues nothing begins one (as in conlleval)."""
    found, previous = [], OUTSIDE
    for tag in tags:
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            tag = f"B-{tag[2:]}"
        found.append(tag)
        previous = tag
    return found


def figures(examples: Sequence[Example], predictions: Sequence[Tags], settings: Settings) -> dict[str, float]:
    """F1 of whole entities (type and both borders right), and the share of words with the right tag."""
    truth = [example["tags"] for example in examples]
    true, found = (
        {(number, *entity) for number, tags in enumerate(sentences) for entity in entities(tags)}
        for sentences in (truth, predictions)
    )
    return {
        "accuracy": float(np.mean(np.concatenate(truth) == np.concatenate(predictions))),
        "f1": 2 * len(true & found) / max(1, len(true) + len(found)),
    }


def metrics(examples: Sequence[Example], predictions: Sequence[Tags], settings: Settings) -> dict[str, float]:
    """Precision, recall and F1 of whole entities, micro and by type (Tjong Kim Sang 2002, by seqeval)."""
    from seqeval.metrics import accuracy_score, classification_report

    truth = [example["tags"] for example in examples]
    report = classification_report(truth, predictions, output_dict=True, zero_division=0)
    types = sorted({label[2:] for label in settings.labels} - {""})
    rows = {"": report["micro avg"]} | {f"_{kind}": report.get(kind, {}) for kind in types}
    figures = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    return {"accuracy": float(accuracy_score(truth, predictions))} | {
        f"{name}{kind}": float(row.get(key, 0.0))
        for kind, row in rows.items()
        for name, key in figures.items()
    }


def resampled(examples: Sequence[Example], predictions: Sequence[Tags], settings: Settings) -> Resampled:
    """F1 of whole entities of samples of the examples."""
    pairs = [
        (set(entities(example["tags"])), set(entities(tags)))
        for example, tags in zip(examples, predictions, strict=True)
    ]
    return micro_f1([len(true & found) for true, found in pairs], [len(t) + len(f) for t, f in pairs])


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """No entity at all; and of each word the tag that it has most often in training, of others none."""
    return attempted(
        {
            "outside": lambda: [[OUTSIDE] * len(example["words"]) for example in test],
            "majority_tag": lambda: _usual_tags(train, test),
        }
    )


def _usual_tags(train: Sequence[Example], test: Sequence[Example]) -> list[Tags]:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        for word, tag in zip(example["words"], example["tags"], strict=True):
            seen[word][tag] += 1
    usual = {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in seen.items()}
    return [repaired([usual.get(word, OUTSIDE) for word in example["words"]]) for example in test]
