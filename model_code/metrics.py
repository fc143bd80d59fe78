"""Classification metrics in numpy, so that a training machine needs nothing more."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def classification_metrics(logits: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Loss (nats), accuracy, macro-F1 and F1 per label from logits [N, L] and targets [N].

    A label without a right answer, in prediction or in truth, has an F1 of 0; labels that occur
    in neither are left out of the mean.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    predicted = logits.argmax(axis=1)
    right = np.bincount(targets[predicted == targets], minlength=len(labels))
    occurrences = np.bincount(predicted, minlength=len(labels)) + np.bincount(targets, minlength=len(labels))
    f1 = 2 * right / np.maximum(1, occurrences)
    return {
        "loss": float(-log_probabilities[np.arange(len(targets)), targets].mean()),
        "accuracy": float((predicted == targets).mean()),
        "macro_f1": float(f1[occurrences > 0].mean()),
        "f1": {label: float(value) for label, value in zip(labels, f1, strict=True)},
    }
