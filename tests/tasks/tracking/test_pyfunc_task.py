"""A model of any task as MLflow loads it: examples come as strings, dictionaries or a table."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest

from model_code.predict import Predictor
from tasks.register import _save_pyfunc
from tests.release_artifacts import TEXTS


@pytest.fixture(scope="module")
def loaded(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("saved")
    _save_pyfunc(folder / "saved", classifier, False, "m-1", "1")
    return mlflow.pyfunc.load_model(str(folder / "saved"))


def test_a_checkpoint_that_is_none_is_named(classifier: Path, tmp_path: Path) -> None:
    shutil.copytree(classifier, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "task.json").unlink()
    _save_pyfunc(tmp_path / "saved", tmp_path / "checkpoint", False, "m-1", "1")
    with pytest.raises(ValueError, match=r"task\.json: no such file; name the model directory of a finished"):
        mlflow.pyfunc.load_model(str(tmp_path / "saved"))


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        [{"text": text} for text in TEXTS],
        [{"text": text, "label": "of another kind"} for text in TEXTS],
        pd.DataFrame({"text": TEXTS}),
    ],
    ids=["strings", "examples", "with a target", "table"],
)
def test_it_predicts_what_the_checkpoint_does(loaded: Any, classifier: Path, given: Any) -> None:
    found = loaded.predict(given)
    assert list(found) == ["prediction"]
    expected = Predictor(classifier).predict([{"text": text} for text in TEXTS])
    assert len(expected) == len(TEXTS)
    for said, wanted in zip(found["prediction"], expected, strict=True):
        assert said == wanted


def test_of_nothing_it_predicts_nothing(loaded: Any) -> None:
    assert len(loaded.predict([])) == 0
