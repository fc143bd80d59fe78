"""One label for a text, or for a pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import architectures
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, macro_f1
from model_code.task_types.labels import choice, load_labelled
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import inputs_of, outputs, padded
from model_code.task_types.tfidf import tfidf

FAMILIES = architectures(AutoModelForSequenceClassification)
FIELDS = {
    "text": Field("text"),
    "second": Field("text", required=False, named=True),
    "label": Field("label", target=True),
}
METRIC = SELECTION = "f1_macro"
METRICS = ("accuracy", "precision_macro", "recall_macro", "f1_macro")


@dataclass(frozen=True)
class Options:
    """Nothing of its own."""


def fault(example: Example) -> str:
    """Nothing can be wrong with a text and a label."""
    return ""


def labels_of(examples: Sequence[Example]) -> list[str]:
    """The labels that occur, sorted."""
    return sorted({example["label"] for example in examples})


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """A classifier of texts with one logit for each label."""
    return load_labelled(
        directory,
        AutoModelForSequenceClassification,
        settings,
        problem_type="single_label_classification",
        pad_token_id=vocabulary.filler,  # a decoder answers at the last token that is none
    )


@dataclass(frozen=True)
class LabelledTexts:
    """Token ids of each text (or pair), whether they belong to its second text, and its label's number."""

    ids: Sequence[Sequence[int]]
    types: Sequence[Sequence[int]] | None
    targets: np.ndarray | None
    weights: np.ndarray
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 [texts]."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids`, `attention_mask` and `token_type_ids` (of pairs) [B, S]; `targets` [B]."""
        ids, mask = padded([self.ids[i] for i in items], self.pad)
        tensors = {"input_ids": ids, "attention_mask": mask}
        if self.types is not None:
            tensors["token_type_ids"], _ = padded([self.types[i] for i in items], 0, ids.shape[1])
        counts = {}
        if self.targets is not None:
            tensors["targets"] = torch.from_numpy(self.targets[items])
            counts["label"] = float(self.weights[self.targets[items]].sum())
        return Batch(tensors, counts, int(mask.sum()))


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> LabelledTexts:
    """Texts with their special tokens, of `max_length` tokens at most; of a pair the longer one is cut.

    Raises TrainingError when some examples have a second text and others don't.
    """
    pairs = any("second" in example for example in examples)
    if pairs and (alone := [example for example in examples if "second" not in example]):
        raise TrainingError(f"example {alone[0].get('id', '?')} has no second text, as others have")
    tokenizer.enable_truncation(settings.max_length)
    encodings = tokenizer.encode_batch(
        [(e["text"], e["second"]) if pairs else e["text"] for e in examples], add_special_tokens=True
    )
    return LabelledTexts(
        [encoding.ids for encoding in encodings],
        [encoding.type_ids for encoding in encodings] if pairs else None,
        numbers_of(examples, settings) if "label" in examples[0] else None,
        np.array(settings.label_weights or np.ones(len(settings.labels))),
        vocabulary.filler,
    )


def numbers_of(examples: Sequence[Example], settings: Settings) -> np.ndarray:
    """The number of each example's label, int64 [examples].

    Raises TrainingError for a label that no training example has.
    """
    index = {label: i for i, label in enumerate(settings.labels)}
    for example in examples:
        if example["label"] not in index:
            raise TrainingError(
                f"example {example.get('id', '?')} has the label {example['label']!r}, which no training "
                f"example has (they have {', '.join(settings.labels)}); add some or take it out"
            )
    return np.array([index[example["label"]] for example in examples], np.int64)


def logits(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits, float32 [B, labels]."""
    out: torch.Tensor = model(**inputs_of(model, tensors)).logits.float()
    return out


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: `logits`, float32 [B, labels]."""
    return {"logits": logits(model, tensors)}


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Cross-entropy of the labels, weighted and smoothed as the settings say."""
    said = logits(model, tensors)
    return {"label": choice(said, tensors["targets"], settings)}


def predict(
    model: Any, data: LabelledTexts, runtime: Runtime, batch_size: int, settings: Settings
) -> list[str]:
    """The most probable label of each text."""
    return predict_surely(model, data, runtime, batch_size, settings)[0]


def predict_surely(
    model: Any, data: LabelledTexts, runtime: Runtime, batch_size: int, settings: Settings
) -> tuple[list[str], list[float]]:
    """The most probable label of each text, and its probability."""
    numbers, sure = np.zeros(len(data.ids), np.int64), np.zeros(len(data.ids), np.float64)

    def likeliest(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        said = logits(model, batch.tensors)
        best = said.argmax(-1)
        return best, said.softmax(-1).gather(-1, best[:, None]).squeeze(-1)

    for items, (best, probable) in outputs(likeliest, model, data, runtime, batch_size):
        numbers[items], sure[items] = best.cpu().numpy(), probable.float().cpu().numpy()
    return [settings.labels[i] for i in numbers], sure.tolist()


def figures(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """Accuracy and macro F1; the mean leaves out a label that occurs in neither truth nor predictions."""
    truth = numbers_of(examples, settings)
    predicted = numbers_of([{"label": label} for label in predictions], settings)
    right, true, said = (
        np.bincount(which, minlength=len(settings.labels))
        for which in (truth[truth == predicted], truth, predicted)
    )
    f1 = 2 * right / np.maximum(1, true + said)
    return {
        "accuracy": float((truth == predicted).mean()),
        "f1_macro": float(f1[true + said > 0].mean()),
    }


def metrics(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """Accuracy, and macro precision, recall and F1 over all labels; undefined precision counts as 0."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    truth = [example["label"] for example in examples]
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predictions, labels=list(settings.labels), average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, predictions)),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
    }


def resampled(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> Resampled:
    """Macro F1 of samples of the examples."""
    number = {label: i for i, label in enumerate(settings.labels)}
    told = ([number.get(label, -1) for label in of] for of in ([e["label"] for e in examples], predictions))
    return macro_f1(*(np.eye(len(number) + 1, dtype=np.float32)[each, :-1] for each in told))


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """The commonest label; and what everyone would try first, at scikit-learn's usual settings."""
    counts = Counter(example["label"] for example in train)
    commonest = max(sorted(counts), key=lambda label: counts[label])
    return attempted(
        {
            "majority": lambda: [commonest] * len(test),
            "tfidf_logistic_regression": lambda: _counted_words(train, test, len(counts)),
        }
    )


def _counted_words(train: Sequence[Example], test: Sequence[Example], labels: int) -> list[str]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [_joined(example) for example in train]
    classifier = make_pipeline(tfidf(texts, labels), LogisticRegression(C=10, max_iter=200, tol=1e-3))
    classifier.fit(texts, [example["label"] for example in train])
    return [str(label) for label in classifier.predict([_joined(example) for example in test])]


def _joined(example: Example) -> str:
    return f"{example['text']}\n{example['second']}" if "second" in example else str(example["text"])
