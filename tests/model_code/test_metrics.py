import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from model_code.metrics import classification_metrics


def test_the_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(200, 4)).astype(np.float32), random.integers(0, 3, 200)
    logits[:, 3] = -9  # neither predicted nor true
    metrics = classification_metrics(logits, targets, list("abcd"))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert metrics["macro_f1"] == pytest.approx(f1_score(targets, logits.argmax(1), average="macro"))
    assert metrics["accuracy"] == pytest.approx((targets == logits.argmax(1)).mean())
    assert metrics["loss"] == pytest.approx(log_loss(targets, probabilities, labels=[0, 1, 2, 3]), rel=1e-4)
    assert metrics["f1"]["d"] == 0
