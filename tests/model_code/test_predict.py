from pathlib import Path

import numpy as np
import pytest

from model_code.errors import TrainingError
from model_code.predict import classify
from tests.model_code.conftest import toy_examples


def test_logits_keep_the_order_of_the_texts(classifier: Path) -> None:
    rows = toy_examples(30, seed=8)
    texts = [row["text"] for row in rows]
    together = classify(classifier, texts, batch_size=7)
    assert together.shape == (30, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[::-1], classify(classifier, texts[::-1], batch_size=30), atol=1e-4)
    labels = [["bara", "sozo", "mote"][i] for i in together.argmax(1)]
    assert np.mean([label == row["label"] for label, row in zip(labels, rows, strict=True)]) > 0.8


def test_no_texts_are_no_logits(classifier: Path) -> None:
    assert classify(classifier, []).shape == (0, 3)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no config\.json"):
        classify(tmp_path, ["text"])
