"""The stage alone against a real MLflow: what it refuses, what it registers, and when it runs anew."""

from __future__ import annotations

import errno
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from tasks.contract.errors import GateRefused, ServerError, StageError
from tasks.contract.run import Run
from tasks.contract.workspace import Workspace
from tasks.evaluation.gate import WAY_OUT, WAY_OUT_OF_DOUBT
from tasks.register import (
    CARD,
    LONGEST_DESCRIPTION,
    RegisterConfig,
    _save_pyfunc,
    registered_version,
    still_registered,
)
from tasks.tracking.registry import (
    COLLECTION_TAG,
    COMPARED_TAG,
    FILES_TAG,
    MODEL_TAG,
    VERDICT_TAG,
    ModelVersion,
    SearchedCollection,
    by_version,
    logged_model,
)
from tasks.tracking.version_files import REGISTERED, verified_files
from tests.release_artifacts import Release, evaluation


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two words", "String should match pattern"),
        ("", "String should match pattern"),
        ("a" * 129, "it has 129 characters, 128 are the most; take a shorter one"),
        ("router-candidate", "this ending is kept for the parts of an endpoint; take another one"),
        ("router-v2-encoder", "this ending is kept for the parts of an endpoint; take another one"),
        ("router-adapter", "those of the model 'router' are registered under it; take another one"),
    ],
)
def test_a_name_that_can_not_be_registered_or_served_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RegisterConfig(model=name)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "MLFLOW_TRACKING_URI names no server; start the command through `textmill`"),
        (
            "http://127.0.0.1:9",
            "server at http://127.0.0.1:9 does not answer (connection refused); try `textmill up`",
        ),
    ],
)
def test_without_a_server_nothing_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    release = Release(tmp_path, "nothing")
    with pytest.raises(ServerError) as refused:
        release.register()
    assert said in str(refused.value)
    assert release.made_by("register") == []


def test_a_refused_model_is_logged_and_registered_nowhere(mlflow: Any, model: str, tmp_path: Path) -> None:
    release = Release(tmp_path, model, judged=evaluation(passed=False))
    with pytest.raises(GateRefused) as refused:
        release.register()
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name(model).experiment_id])
    assert str(refused.value) == (
        "register: the gate refused the model: f1_macro is 0.8000, demanded at least 0.9. It is logged as "
        f"run {run.info.run_id} in MLflow and registered nowhere; {WAY_OUT}"
    )
    assert (run.info.status, run.data.tags["textmill.gate"]) == ("FINISHED", "refused")
    assert run.data.metrics["test/f1_macro"] == 0.8
    assert mlflow.search_registered_models(f"name='{model}'") == []
    assert release.made_by("register") == []


def test_where_the_gate_can_not_tell_the_champion_stays_and_it_is_said(
    mlflow: Any, model: str, tmp_path: Path
) -> None:
    doubt = evaluation(passed=False)["gate"]
    doubt |= {"verdict": "inconclusive", "needs": 1240, "says": "inconclusive: needs 1,240 more examples"}
    doubt["demands"][0] |= {"needs": 1240, "says": "it is only known to be at most 0.03 below"}
    release = Release(tmp_path, model, judged=evaluation(gate=doubt))
    with pytest.raises(GateRefused) as refused:
        release.register()
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name(model).experiment_id])
    assert str(refused.value) == (
        "register: the gate can't tell whether the model is good enough (inconclusive: needs 1,240 more "
        "examples): f1_macro is 0.8000, demanded at least 0.9 (it is only known to be at most 0.03 below). "
        f"It is logged as run {run.info.run_id} in MLflow and registered nowhere; {WAY_OUT_OF_DOUBT}"
    )
    assert run.data.tags[VERDICT_TAG] == "inconclusive: needs 1,240 more examples"
    assert mlflow.search_registered_models(f"name='{model}'") == []
    # The recipe may say otherwise.
    Release(tmp_path / "other", model, judged=evaluation(gate=doubt | {"passed": True})).register()
    version = mlflow.get_model_version(model, "1")
    assert version.tags[VERDICT_TAG] == "inconclusive: needs 1,240 more examples"


FULL = OSError(errno.ENOSPC, "No space left on device", "/tmp/model")


@pytest.mark.parametrize(
    ("step", "error", "refused", "said"),
    [
        ("log_model_artifacts", FULL, StageError, "register: .*free"),
        ("create_model_version", MlflowException("500"), ServerError, r"its log is servers/mlflow\.log"),
        ("set_registered_model_alias", MlflowException("500"), ServerError, "it goes on where it was"),
    ],
)
def test_what_stops_it_half_way_is_said_and_the_next_run_finishes(
    mlflow: Any, model: str, tmp_path: Path, step: str, error: Exception, refused: Any, said: str
) -> None:
    release = Release(tmp_path, model)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowClient, step, fail)
        with pytest.raises(refused, match=said):
            release.register()
    assert release.made_by("register") == []
    release.register()
    assert numbers(mlflow, model) == [1]
    assert mlflow.get_model_version(model, "1").aliases == ["challenger"]
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name(model).experiment_id])
    assert (run.info.status, run.data.tags["textmill.gate"]) == ("FINISHED", "passed")


def test_a_version_is_the_files_the_card_and_where_it_came_from(
    mlflow: Any, model: str, tmp_path: Path
) -> None:
    release = Release(tmp_path, model)
    before = ModelVersion(model=model, version=3, digest="d")
    artifact = release.register(champion=before)
    manifest, place = release.manifest(artifact), release.store.path(artifact)
    version = mlflow.get_model_version(model, "1")
    digest = release.made["fine_tune"].digest
    assert version.tags == {MODEL_TAG: digest, COMPARED_TAG: "3", VERDICT_TAG: "promote"} | {
        FILES_TAG: version.tags[FILES_TAG]
    }
    assert version.aliases == ["challenger"]
    card = (place / CARD).read_text(encoding="utf-8")
    assert version.description == card
    assert json.loads((place / "registration.json").read_text(encoding="utf-8")) == {
        "model": model,
        "digest": digest,
    }
    assert (
        manifest.external.items()
        >= {
            "model": model,
            "version": "1",
            "alias": "challenger",
            "run_id": version.run_id,
        }.items()
    )
    assert manifest.files["SHA256SUMS"].volatile
    workspace = Workspace("export", "k", release.store, tmp_path)
    found = registered_version(artifact, workspace)
    assert found == ModelVersion(model=model, version=1, digest=digest)
    with verified_files(found, release.store, [REGISTERED]) as folder:
        assert (folder / "README.md").read_text(encoding="utf-8") == card
        assert (folder / "artifacts/model/config.json").read_text(encoding="utf-8") == "{}"
        assert (folder / "SHA256SUMS").read_bytes() == (place / "SHA256SUMS").read_bytes()
        required = (folder / "requirements.txt").read_text(encoding="utf-8")
        assert "torch" not in required
        assert "+" not in required


def test_another_home_takes_over_the_version_that_is_there(mlflow: Any, model: str, tmp_path: Path) -> None:
    first = Release(tmp_path / "first", model)
    made = first.register()
    second = Release(tmp_path / "second", model)
    taken = second.register()
    assert numbers(mlflow, model) == [1]
    assert taken.digest == made.digest
    sums = [release.store.path(taken) / "SHA256SUMS" for release in (first, second)]
    assert sums[0].read_bytes() == sums[1].read_bytes()


def test_a_model_that_searches_other_documents_is_another_version(
    mlflow: Any, model: str, tmp_path: Path
) -> None:
    for home, searched, number in (("one", "", 1), ("one", "c1", 2), ("two", "c1", 2), ("two", "c2", 3)):
        collection = SearchedCollection(digest=searched) if searched else None
        release = Release(tmp_path / home / searched, model, collection=collection)
        made = release.manifest(release.register())
        assert made.external["version"] == str(number)
        assert still_registered(made, release.config, Run(release.home))
        version = mlflow.get_model_version(model, str(number))
        assert version.tags.get(COLLECTION_TAG, "") == searched
        assert version.tags[MODEL_TAG] == release.made["fine_tune"].digest
    assert numbers(mlflow, model) == [1, 2, 3]


def test_a_changed_version_is_not_taken_over(mlflow: Any, model: str, tmp_path: Path) -> None:
    first = Release(tmp_path / "first", model)
    first.register()
    spoil(mlflow, model, "pyfunc_model.py")
    with pytest.raises(StageError, match=r"pyfunc_model\.py was changed since; nothing of it was run"):
        Release(tmp_path / "second", model).register()


def test_a_long_card_is_whole_among_the_files_and_cut_in_the_description(
    mlflow: Any, model: str, tmp_path: Path
) -> None:
    labels = [f"a label of many letters {number}" for number in range(300)]
    release = Release(tmp_path, model, judged=evaluation(labels=labels))
    card = (release.store.path(release.register()) / CARD).read_text(encoding="utf-8")
    said = mlflow.get_model_version(model, "1").description
    assert len(card) > LONGEST_DESCRIPTION == len(said)
    assert said == f"{card[: LONGEST_DESCRIPTION - 2]} …"
    assert labels[-1] in card


def test_an_adapter_is_registered_by_itself_too(mlflow: Any, model: str, tmp_path: Path) -> None:
    release = Release(tmp_path, model, others={"adapter/adapter_config.json": "{}"})
    for _ in range(2):
        release.register()
        (adapter,) = mlflow.search_model_versions(f"name='{model}-adapter'")
        release = Release(tmp_path / "again", model, others={"adapter/adapter_config.json": "{}"})
    assert adapter.tags[MODEL_TAG] == release.made["fine_tune"].digest
    found = by_version(mlflow, f"{model}-adapter", 1)
    assert found
    files = mlflow.list_logged_model_artifacts(logged_model(mlflow, found))
    assert sorted(file.path for file in files) == ["SHA256SUMS", "adapter_config.json"]


def numbers(mlflow: Any, model: str) -> list[int]:
    """Of the versions that there are."""
    return sorted(int(version.version) for version in mlflow.search_model_versions(f"name='{model}'"))


def spoil(mlflow: Any, model: str, name: str) -> None:
    """Overwrite or add a file of version 1, as who reaches the server can."""
    version = by_version(mlflow, model, 1)
    assert version
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_text("other", encoding="utf-8")
        mlflow.log_model_artifacts(logged_model(mlflow, version), folder)


def tag(key: str) -> Callable[[Any, str], None]:
    """Give a tag of version 1 another value."""
    return lambda mlflow, model: mlflow.set_model_version_tag(model, "1", key, "other")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda mlflow, model: mlflow.delete_model_version(model, "1"), ""),
        (tag(MODEL_TAG), ""),
        (tag(FILES_TAG), "register: the tag textmill.files of version 1"),
        (lambda mlflow, model: spoil(mlflow, model, "MLmodel"), "MLmodel was changed since"),
        (lambda mlflow, model: spoil(mlflow, model, "more.py"), "more.py was added since"),
    ],
)
def test_it_runs_anew_when_the_version_is_not_what_was_registered(
    mlflow: Any,
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any, str], None],
    said: str,
) -> None:
    release = Release(tmp_path, model)
    manifest = release.manifest(release.register())
    capsys.readouterr()
    assert still_registered(manifest, release.config, Run(tmp_path))
    assert capsys.readouterr().out == ""
    change(mlflow, model)
    assert not still_registered(manifest, release.config, Run(tmp_path))
    assert said in capsys.readouterr().out


def test_it_is_not_current_while_the_server_is_gone(
    mlflow: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Release(tmp_path, model)
    manifest = release.manifest(release.register())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not still_registered(manifest, release.config, Run(tmp_path))


@pytest.mark.parametrize("served", [True, False])
def test_a_saved_model_brings_no_warning_where_it_is_made_or_loaded(
    served: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoint").mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _save_pyfunc(tmp_path / "saved", tmp_path / "checkpoint", served, "m-1", "1")
        with pytest.raises((OSError, ValueError)):  # there is no model in it
            mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    assert [str(warning.message) for warning in said if "hint" in str(warning.message)] == []
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []
