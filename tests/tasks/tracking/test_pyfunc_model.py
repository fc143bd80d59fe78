"""A served model as MLflow loads it: what it lacks is said, and what it answers is ONNX Runtime's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest

from tasks.register import _save_pyfunc
from tests.deploy.conftest import LABELS, SENTENCES, Bundle, bundle  # noqa: F401


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model as `register` saves it, before `export` has added its build."""
    (tmp_path / "checkpoint").mkdir()
    _save_pyfunc(tmp_path / "saved", tmp_path / "checkpoint", True, "m-1", "1")
    return tmp_path / "saved"


def add_build(saved: Path, made: Bundle) -> Any:
    """Add the build as `export` does; the loaded model."""
    shutil.copytree(made.folder, saved / "artifacts" / "onnx")
    return mlflow.pyfunc.load_model(str(saved))


def test_without_its_build_it_says_what_to_do(saved: Path) -> None:
    with pytest.raises(FileNotFoundError) as refused:
        mlflow.pyfunc.load_model(str(saved))
    assert str(refused.value) == (
        f"{saved / 'artifacts' / 'onnx'}: this version has no ONNX build yet; its run stopped before the "
        "export. Run the recipe again, or load another version"
    )


def test_it_answers_as_the_graph_does_whatever_else_is_asked(
    saved: Path,
    bundle: Callable[..., Bundle],  # noqa: F811
) -> None:
    made = bundle(1)
    loaded = add_build(saved, made)
    texts = [*SENTENCES, "word " * 100] * 25  # several batches, and a text that is cut
    found = loaded.predict(texts)
    assert list(found) == ["label", "probability", "probabilities"]
    assert len(found) == len(texts)
    for text, (_, row) in zip(texts[:6], found.iterrows(), strict=False):
        expected = made.expected(text)
        assert (row["label"], row["probability"]) == (expected[0][0], pytest.approx(expected[0][1], abs=1e-6))
        assert row["probabilities"] == pytest.approx(dict(expected), abs=1e-6)
        assert list(row["probabilities"]) == list(LABELS)
    assert len(loaded.predict([])) == 0
