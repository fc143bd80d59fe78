from pathlib import Path

import numpy as np
import pytest

from model_code.errors import TrainingError
from model_code.predict import Predictor
from tests.model_code.conftest import toy_examples


def test_predictions_keep_the_order_of_the_examples(classifier: Path) -> None:
    rows, predictor = toy_examples(30, seed=8), Predictor(classifier)
    together = predictor.predict(rows, batch_size=7)
    assert together[::-1] == predictor.predict([{"text": row["text"]} for row in rows[::-1]], batch_size=30)
    assert np.mean([label == row["label"] for label, row in zip(together, rows, strict=True)]) > 0.8


def test_how_sure_the_model_is_belongs_to_what_it_says(classifier: Path) -> None:
    rows, predictor = toy_examples(30, seed=8), Predictor(classifier)
    said, sure = predictor.predict_surely(rows, batch_size=7)
    assert said == predictor.predict(rows, batch_size=30)
    assert sure is not None
    labels = len(predictor.settings.labels)
    assert all(1 / labels <= probability <= 1 for probability in sure)
    assert len(set(sure)) > 1
    assert predictor.predict_surely([]) == ([], None)


def test_no_examples_are_no_predictions(classifier: Path) -> None:
    assert Predictor(classifier).predict([]) == []


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"task\.json: no such file"):
        Predictor(tmp_path)
