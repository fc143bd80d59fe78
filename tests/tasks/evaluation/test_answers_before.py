"""What an earlier version said is taken as it was kept, from here or from MLflow, or else it is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tasks.contract.artifact import Artifact, sha256_text
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.evaluation import answers_before, kept_predictions
from tasks.evaluation.answers_before import KEPT, answers_of, kept_of
from tasks.evaluation.kept_predictions import FILE
from tasks.tracking.registry import ModelVersion, logged_model
from tasks.tracking.version_files import JUDGED
from tests.published import publish
from tests.tasks.evaluation.judged_version import SETTINGS, register_judged

EXAMPLES = [{"id": str(n), "text": f"text {n}", "label": "ab"[n % 2]} for n in range(6)]
SAID = list("abbaab")


def judge(store: Store, model: ModelVersion, said: list[str], examples: list[dict[str, str]]) -> Path:
    """An artifact of `evaluate` for the model of a version; its place."""
    key = sha256_text(f"{model.digest} {said} {examples}")
    directory = store.begin("evaluate", key)
    kept_predictions.write(directory / FILE, examples, said, SETTINGS)
    publish(
        store,
        directory,
        "evaluate",
        key,
        inputs={"model": Artifact(stage="fine_tune", key="k", digest=model.digest)},
    )
    return store.place("evaluate", key)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which versions were asked anew: they say z."""
    versions: list[int] = []

    def predict(version: ModelVersion, task: str, examples: Any, store: Store) -> list[str]:
        versions.append(version.version)
        return ["z"] * len(examples)

    monkeypatch.setattr(answers_before, "predict_with", predict)
    return versions


def test_kept_predictions_of_the_same_examples_are_taken(tmp_path: Path, asked: list[int]) -> None:
    store, version = Store(tmp_path), ModelVersion(model="m", version=1, digest="d1")
    judge(store, version, SAID, EXAMPLES)
    judge(store, version, SAID[:3], EXAMPLES[:3])
    judge(store, ModelVersion(model="m", version=2, digest="d2"), list("bbbbbb"), EXAMPLES)
    assert answers_of(version, "classification", EXAMPLES, store) == (SAID, KEPT)
    assert answers_of(version, "classification", EXAMPLES[:3], store) == (SAID[:3], KEPT)
    assert asked == []


CHANGED = [EXAMPLES[:5], [EXAMPLES[0] | {"text": "new"}, *EXAMPLES[1:]], EXAMPLES[::-1]]


@pytest.mark.parametrize("changed", CHANGED, ids=["fewer", "another text", "another order"])
def test_with_other_examples_a_version_is_asked_anew(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch, changed: list[dict[str, str]]
) -> None:
    monkeypatch.setattr(answers_before, "verified_file", lambda *_: nullcontext())
    store, version = Store(tmp_path), ModelVersion(model="m", version=1, digest="d1")
    judge(store, version, SAID, EXAMPLES)
    said, source = answers_of(version, "classification", changed, store)
    assert (said, asked) == (["z"] * len(changed), [1])
    assert source == "asking it anew, since the test examples are others than when it was judged"


def test_a_version_of_an_older_textmill_is_asked_anew(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_before, "verified_file", lambda *_: nullcontext())
    version = ModelVersion(model="m", version=1, digest="d1")
    source = answers_of(version, "classification", EXAMPLES, Store(tmp_path)).source
    assert source == "asking it anew, since it was registered without its predictions"


def test_another_home_finds_them_among_the_files_of_the_version(
    mlflow: Any, model: str, tmp_path: Path, asked: list[int]
) -> None:
    version = register_judged(model, tmp_path / "one", SAID, EXAMPLES)
    other = Store(tmp_path / "other")
    assert answers_of(version, "classification", EXAMPLES, other) == (SAID, KEPT)
    said, source = answers_of(version, "classification", EXAMPLES[:2], other)
    assert (said, asked) == (["z", "z"], [1])
    assert source.startswith("asking it anew, since the test examples are others")


ATTACKS: dict[str, Callable[[Path], None]] = {
    "predictions": lambda folder: kept_predictions.write(
        folder / JUDGED / FILE, EXAMPLES, ["a"] * 6, SETTINGS
    ),
    "list": lambda folder: (folder / "SHA256SUMS").write_text("", encoding="utf-8") and None,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_predictions_that_were_changed_in_mlflow_are_not_believed(
    mlflow: Any, model: str, tmp_path: Path, attack: str
) -> None:
    version = register_judged(model, tmp_path / "one", SAID, EXAMPLES)
    logged = mlflow.get_logged_model(logged_model(mlflow, version))
    folder = tmp_path / "spoilt"
    (folder / JUDGED).mkdir(parents=True)
    ATTACKS[attack](folder)
    mlflow.log_model_artifacts(logged.model_id, str(folder))
    with pytest.raises(StageError, match=r"is not what was registered: \S+ was changed since"):
        kept_of(version, Store(tmp_path / "other"))
