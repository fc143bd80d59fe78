"""The relation between two marked entities of a text: who founded what, what causes what.

Four markers become entries of the vocabulary and stand around the entities (Baldini Soares et al. 2019,
arXiv 1906.03158). A stock classifier of texts reads them, so what is saved loads everywhere and is given
texts such as `[E1] Ada [/E1] lives in [E2] London [/E2]`. [E1] is the head, wherever it stands, and labels
keep their direction. The figures leave out the label that says that there is no relation, as TACRED's do.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedModel

from model_code.data.frames import frame_of
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.new_rows import add_entries
from model_code.served.relations import MARKERS, around_entities, located, marked
from model_code.task_types import classification
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, micro_f1
from model_code.task_types.classification import LabelledTexts, numbers_of
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.tfidf import tfidf

FAMILIES = classification.FAMILIES
FIELDS = {
    "text": Field("text"),
    "head": Field("span", required=False),
    "tail": Field("span", required=False),
    "label": Field("label", target=True),
}
METRIC = SELECTION = "f1_micro"
METRICS = ("accuracy", "precision_micro", "recall_micro", "f1_micro", "f1_macro")
NO_RELATION = ("no_relation", "other", "na", "none")  # in any case, with any of " -_/" or nothing between

# With its markers in it, a text is one as any other.
labels_of, logits, graph, scores, predict, predict_surely = (
    classification.labels_of,
    classification.logits,
    classification.graph,
    classification.scores,
    classification.predict,
    classification.predict_surely,
)


@dataclass(frozen=True)
class Options:
    """`no_relation` is the label for none, which the figures leave out; "" finds it by its usual names."""

    no_relation: str = ""


def fault(example: Example) -> str:
    """Entities that are not there, are empty or overlap, or a text that spells a marker."""
    try:
        located(example)
    except ValueError as error:
        return str(error)
    return ""


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """A classifier of texts with a row for each marker.

    Raises TrainingError when no label is the one that is to say that there is no relation, or several are.
    """
    without = no_relation(settings)
    model = classification.load(directory, vocabulary, settings)
    if add_entries(model, directory, _entries()):  # a training begins: an evaluation has nothing to tell anew
        said = f"{without!r} is no relation" if without else "every label is a relation"
        print(f"{said}; options.no_relation names a label that the figures leave out", file=sys.stderr)
    return model


def _entries() -> list[AddedToken]:
    return [AddedToken(marker, special=True, normalized=False, lstrip=True) for marker in MARKERS]


def no_relation(settings: Settings) -> str | None:
    """The label that says that there is no relation; None where each label is a relation.

    Raises TrainingError when none has the name that the recipe gives, or several have a usual one.
    """
    if named := settings.options.no_relation:
        if named not in settings.labels:
            raise TrainingError(
                f"options.no_relation is {named!r}, and the labels are {', '.join(settings.labels)}; name "
                "one of them"
            )
        return str(named)
    usual = {re.sub(r"[\W_]+", "", name) for name in NO_RELATION}
    found = [label for label in settings.labels if re.sub(r"[\W_]+", "", label).casefold() in usual]
    if len(found) > 1:
        raise TrainingError(
            f"the labels {' and '.join(found)} may both say that there is no relation; name the one that "
            "does in options.no_relation"
        )
    return found[0] if found else None


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> LabelledTexts:
    """Texts with their markers, of `max_length` tokens at most: of a longer one what is around both entities.

    Raises TrainingError when both don't fit into one, or an example has a fault.
    """
    tokenizer.add_special_tokens(_entries())
    texts = [_marked(example) for example in examples]
    frame = frame_of(tokenizer, vocabulary)
    ids, needed = around_entities(texts, tokenizer, frame, settings.max_length)
    if needed and max(needed) > settings.max_length:
        widest = int(np.argmax(needed))
        raise TrainingError(
            f"example {examples[widest].get('id', '?')} needs {needed[widest]} tokens from one entity to the "
            f"other, and max_length is {settings.max_length}; raise it, or take such examples out"
        )
    targets = numbers_of(examples, settings) if "label" in examples[0] else None
    weights = np.array(settings.label_weights or np.ones(len(settings.labels)))
    return LabelledTexts(ids, None, targets, weights, vocabulary.filler)


def _marked(example: Example) -> str:
    try:
        return marked(example)
    except ValueError as error:
        raise TrainingError(f"example {example.get('id', '?')}: {error}") from error


def figures(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """Accuracy over all labels; F1 of the relations, over all and as the mean of those that occur."""
    index = {label: number for number, label in enumerate(settings.labels)}
    truth, said = (
        np.array([index[label] for label in labels])
        for labels in ([example["label"] for example in examples], predictions)
    )
    right, given = (
        np.bincount(which, minlength=len(index)) for which in (truth[truth == said], np.append(truth, said))
    )
    none = no_relation(settings)
    is_relation = np.array([label != none for label in settings.labels])
    occurs = is_relation & (given > 0)
    f1 = 2 * right / np.maximum(1, given)
    return {
        "accuracy": float((truth == said).mean()),
        "f1_micro": float(2 * right[is_relation].sum() / max(1, given[is_relation].sum())),
        "f1_macro": float(f1[occurs].mean()) if occurs.any() else 0.0,
    }


def metrics(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """Accuracy over all labels; precision, recall and F1 of the relations alone (micro, and F1 macro)."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    truth = [example["label"] for example in examples]
    none = no_relation(settings)
    relations = [label for label in settings.labels if label != none]
    micro, macro = (
        precision_recall_fscore_support(truth, predictions, labels=relations, average=how, zero_division=0)
        for how in ("micro", "macro")
    )
    return {
        "accuracy": float(accuracy_score(truth, predictions)),
        "precision_micro": float(micro[0]),
        "recall_micro": float(micro[1]),
        "f1_micro": float(micro[2]),
        "f1_macro": float(macro[2]),
    }


def resampled(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> Resampled:
    """Micro F1 of the relations of samples of the examples."""
    none = no_relation(settings)
    pairs = [(example["label"], said) for example, said in zip(examples, predictions, strict=True)]
    right = [true == said != none for true, said in pairs]
    return micro_f1(right, [(true != none) + (said != none) for true, said in pairs])


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """The commonest relation (the label for none would be worth nothing); and counted words."""
    counts = Counter(example["label"] for example in train)
    relations = sorted(counts.keys() - {no_relation(settings)}) or sorted(counts)
    commonest = max(relations, key=lambda label: counts[label])
    return attempted(
        {
            "majority_relation": lambda: [commonest] * len(test),
            "tfidf_logistic_regression": lambda: _counted_words(train, test, len(counts)),
        }
    )


def _counted_words(train: Sequence[Example], test: Sequence[Example], labels: int) -> list[str]:
    """Words of the text, and besides those between the entities, apart by which of the two is first."""
    from scipy.sparse import hstack
    from sklearn.linear_model import LogisticRegression

    columns: list[tuple[Any, Any]] = []
    views = (zip(*map(_views, examples), strict=True) for examples in (train, test))
    for known, asked in zip(*views, strict=True):
        if any(text.strip() for text in known):
            vectorizer = tfidf(known, labels)
            columns.append((vectorizer.fit_transform(known), vectorizer.transform(asked)))
    counted, asked_for = (hstack(side, format="csr") for side in zip(*columns, strict=True))
    classifier = LogisticRegression(C=10, max_iter=200, tol=1e-3)
    classifier.fit(counted, [example["label"] for example in train])
    return [str(label) for label in classifier.predict(asked_for)]


def _views(example: Example) -> tuple[str, str, str]:
    text, head, tail = located(example)
    between = text[min(head[1], tail[1]) : max(head[0], tail[0])]
    return (text, between, "") if head < tail else (text, "", between)
