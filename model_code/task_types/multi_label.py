"""Any number of labels for a text, none included: each is a question of its own, answered by a sigmoid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import architectures
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, macro_f1
from model_code.task_types.labels import label_weights, load_labelled
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import inputs_of, outputs, padded
from model_code.task_types.tfidf import tfidf

FAMILIES = architectures(AutoModelForSequenceClassification)
FIELDS = {"text": Field("text"), "labels": Field("labels", target=True)}
METRIC = SELECTION = "f1_macro"
METRICS = ("f1_micro", "f1_macro", "average_precision")

ScoredLabels = Mapping[str, Any]
"""The `labels` of a text, a sorted list, and the `probabilities` of all labels, {label: float}."""


@dataclass(frozen=True)
class Options:
    """A text has the labels whose probability is at least the `threshold`."""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise TrainingError(f"the threshold is {self.threshold}; probabilities lie between 0 and 1")


def fault(example: Example) -> str:
    """A label can't be there twice."""
    counts = Counter[str](example["labels"])
    twice = sorted(label for label, count in counts.items() if count > 1)
    return f"it has the label {twice[0]!r} twice" if twice else ""


def labels_of(examples: Sequence[Example]) -> list[str]:
    """The labels that occur, sorted."""
    return sorted({label for example in examples for label in example["labels"]})


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """A classifier of texts with one logit for each label."""
    return load_labelled(
        directory,
        AutoModelForSequenceClassification,
        settings,
        problem_type="multi_label_classification",
        pad_token_id=vocabulary.filler,  # a decoder answers at the last token that is none
    )


@dataclass(frozen=True)
class MultiLabelTexts:
    """Token ids of each text, which labels it has, float32 [texts, labels], and what each weighs."""

    ids: Sequence[Sequence[int]]
    targets: np.ndarray | None
    weights: np.ndarray
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 [texts]."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids` and `attention_mask` [B, S]; `targets` [B, labels]."""
        ids, mask = padded([self.ids[i] for i in items], self.pad)
        tensors = {"input_ids": ids, "attention_mask": mask}
        counts = {}
        if self.targets is not None:
            tensors["targets"] = torch.from_numpy(self.targets[items])
            counts["label"] = float(np.where(self.targets[items] > 0, self.weights, 1).sum())
        return Batch(tensors, counts, int(mask.sum()))


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> MultiLabelTexts:
    """Texts with their special tokens, of `max_length` tokens at most."""
    tokenizer.enable_truncation(settings.max_length)
    encodings = tokenizer.encode_batch([example["text"] for example in examples])
    ids = [encoding.ids for encoding in encodings]
    return MultiLabelTexts(
        ids,
        _indicators(examples, settings) if "labels" in examples[0] else None,
        np.array(settings.label_weights or np.ones(len(settings.labels))),
        vocabulary.filler,
    )


def label_logits(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits of the labels, float32 [B, labels]."""
    out = model(**inputs_of(model, tensors))
    of_labels: torch.Tensor = out.logits.float()
    return of_labels


def logits(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits of the absence and the presence of each label, float32 [B x labels, 2]: a softmax of two."""
    present = label_logits(model, tensors).flatten()
    return torch.stack([torch.zeros_like(present), present], dim=-1)


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: `logits`, float32 [B, labels]."""
    return {"logits": label_logits(model, tensors)}


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Binary cross-entropy of every label of every text, smoothed; weights are for labels that are there."""
    said, smoothing = label_logits(model, tensors), settings.label_smoothing
    present, weights = tensors["targets"] > 0, label_weights(settings, said.device)
    targets = tensors["targets"] * (1 - smoothing) + smoothing / 2
    losses = binary_cross_entropy_with_logits(said, targets, reduction="none")
    loss = (losses if weights is None else torch.where(present, losses * weights, losses)).sum()
    hits = ((said > 0) == present).sum()
    return {"label": Score(loss, torch.zeros_like(loss), hits)}


def predict(
    model: Any, data: MultiLabelTexts, runtime: Runtime, batch_size: int, settings: Settings
) -> list[ScoredLabels]:
    """The labels that are probable enough, and the probabilities of all."""
    probabilities = np.zeros((len(data.ids), len(settings.labels)), np.float32)
    for items, said in outputs(lambda b: label_logits(model, b.tensors), model, data, runtime, batch_size):
        probabilities[items] = said.sigmoid().cpu().numpy()
    return _answers(probabilities, settings, settings.options.threshold)


def figures(
    examples: Sequence[Example], predictions: Sequence[ScoredLabels], settings: Settings
) -> dict[str, float]:
    """F1 over all labels together (micro) and the mean of that of each (macro); 0 where nothing is right."""
    truth, said = _indicators(examples, settings), _indicators(predictions, settings)
    right, given = (truth * said).sum(axis=0), truth.sum(axis=0) + said.sum(axis=0)
    return {
        "f1_micro": float(2 * right.sum() / max(1, given.sum())),
        "f1_macro": float((2 * right / np.maximum(1, given)).mean()),
    }


def metrics(
    examples: Sequence[Example], predictions: Sequence[ScoredLabels], settings: Settings
) -> dict[str, float]:
    """Micro and macro F1; and the mean of the average precision of labels that occur: no threshold counts.

    The F1 of a single label is that of its presence.
    """
    from sklearn.metrics import average_precision_score, f1_score

    predictions = _judged(predictions, settings)
    truth, said = _indicators(examples, settings), _indicators(predictions, settings)
    probable = np.array([list(said["probabilities"].values()) for said in predictions])
    precisions = [
        average_precision_score(truth[:, i], probable[:, i]) for i in np.flatnonzero(truth.any(axis=0))
    ]
    if len(settings.labels) == 1:  # to scikit-learn a single column are two classes
        f1 = dict.fromkeys(("micro", "macro"), f1_score(truth[:, 0], said[:, 0], zero_division=0))
    else:
        f1 = {kind: f1_score(truth, said, average=kind, zero_division=0) for kind in ("micro", "macro")}
    return {
        "f1_micro": float(f1["micro"]),
        "f1_macro": float(f1["macro"]),
        "average_precision": float(np.mean(precisions)) if precisions else 0.0,
    }


def resampled(
    examples: Sequence[Example], predictions: Sequence[ScoredLabels], settings: Settings
) -> Resampled:
    """Macro F1 of samples of the examples."""
    return macro_f1(_indicators(examples, settings), _indicators(_judged(predictions, settings), settings))


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """Always the commonest labels; and what everyone would try first, at scikit-learn's usual settings."""
    truth, threshold = _indicators(train, settings), settings.options.threshold
    frequencies = truth.mean(axis=0)
    usual = np.tile(frequencies, (len(test), 1))
    return attempted(
        {
            "commonest": lambda: _answers(usual, settings, min(threshold, frequencies.max())),
            "tfidf_logistic_regression": lambda: _counted_words(train, truth, test, settings),
        }
    )


def _counted_words(
    train: Sequence[Example], truth: np.ndarray, test: Sequence[Example], settings: Settings
) -> list[ScoredLabels]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    texts = [example["text"] for example in train]
    classifier = make_pipeline(
        tfidf(texts), OneVsRestClassifier(LogisticRegression(C=10, max_iter=200, tol=1e-3))
    )
    classifier.fit(texts, truth)
    # Of a single label the first column is that of its absence.
    probable = classifier.predict_proba([example["text"] for example in test])[:, -len(settings.labels) :]
    return _answers(probable, settings, settings.options.threshold)


def _indicators(rows: Sequence[Mapping[str, Any]], settings: Settings) -> np.ndarray:
    """1 where a row has a label and 0 elsewhere, float32 [rows, labels].

    Raises TrainingError for a label that no training example has.
    """
    index = {label: i for i, label in enumerate(settings.labels)}
    indicators = np.zeros((len(rows), len(index)), np.float32)
    for row, having in enumerate(rows):
        if unknown := [label for label in having["labels"] if label not in index]:
            raise TrainingError(
                f"example {having.get('id', '?')} has the label {unknown[0]!r}, which no training example has"
            )
        indicators[row, [index[label] for label in having["labels"]]] = 1
    return indicators


def _judged(predictions: Sequence[ScoredLabels], settings: Settings) -> list[ScoredLabels]:
    """The predictions without labels that another model knows and nobody is judged on here."""
    return [
        {
            "labels": [label for label in said["labels"] if label in settings.labels],
            "probabilities": {label: said["probabilities"].get(label, 0.0) for label in settings.labels},
        }
        for said in predictions
    ]


def _answers(probabilities: np.ndarray, settings: Settings, threshold: float) -> list[ScoredLabels]:
    """What is said of texts whose labels have these probabilities, [texts, labels]."""
    return [
        {
            "labels": [settings.labels[i] for i in np.flatnonzero(row >= threshold)],
            "probabilities": dict(zip(settings.labels, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]
