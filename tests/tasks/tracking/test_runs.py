"""What a run looks like in MLflow: made once, complete, and without a secret in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.contract.artifact import sha256_text
from tasks.contract.errors import ServerError
from tasks.contract.store import Store
from tasks.tracking.registry import client
from tasks.tracking.runs import (
    attach,
    find_or_create_run,
    log_points,
    log_pretraining,
    log_run,
    params,
    point,
)
from tests.published import publish
from tests.release_artifacts import Release, evaluation

KEY = "k" * 64


def test_a_run_is_made_once_for_a_key_and_a_home(
    mlflow: Any, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTMILL_HOME", "/home/a")
    made = find_or_create_run(mlflow, model, KEY, "pretrain")
    assert find_or_create_run(mlflow, model, KEY, "pretrain") == made
    assert find_or_create_run(mlflow, model, "l" * 64) != made
    monkeypatch.setenv("TEXTMILL_HOME", "/home/b")
    assert find_or_create_run(mlflow, model, KEY) != made
    assert mlflow.get_run(made).info.run_name == "pretrain-kkkkkkkk"
    experiment = mlflow.get_experiment_by_name(model)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_an_experiment_that_another_run_is_making_is_used(
    mlflow: Any, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MlflowClient.create_experiment

    def late(self: MlflowClient, name: str, **named: Any) -> str:
        create(self, name)  # the other one was faster
        return create(self, name, **named)

    monkeypatch.setattr(MlflowClient, "create_experiment", late)
    run = mlflow.get_run(find_or_create_run(mlflow, model, KEY))
    assert run.info.experiment_id == mlflow.get_experiment_by_name(model).experiment_id


def test_a_file_is_attached_where_there_is_a_run_and_else_nothing_happens(
    mlflow: Any, mlflow_address: str, model: str, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("<p>", encoding="utf-8")
    assert attach(model, KEY, tmp_path / "report.html") == ""
    run = find_or_create_run(mlflow, model, KEY)
    assert attach(model, "l" * 64, tmp_path / "report.html") == ""
    number = mlflow.get_run(run).info.experiment_id
    page = f"{mlflow_address}/#/experiments/{number}/runs/{run}/artifacts"
    assert attach(model, KEY, tmp_path / "report.html") == f"{page}/report.html"
    assert attach(model, KEY, tmp_path / "report.html", "run") == f"{page}/run/report.html"
    assert [file.path for file in mlflow.list_artifacts(run, "run")] == ["run/report.html"]


def test_a_second_call_adds_nothing(mlflow: Any, model: str, tmp_path: Path) -> None:
    release = Release(tmp_path, model)
    manifests = {stage: release.manifest(artifact) for stage, artifact in release.made.items()}
    run_id = find_or_create_run(mlflow, model, KEY)
    for _ in range(2):
        log_run(mlflow, run_id, manifests, evaluation(), release.store.path)
    run = mlflow.get_run(run_id)
    assert run.data.params["examples.task"] == "classification"
    assert run.data.params["collect.sources"] == "s3://there"
    figures = {"test/f1_macro": 0.8, "pretrained/perplexity": 20.0, "majority/f1_macro": 0.25}
    assert run.data.metrics.items() >= (figures | {"fine_tune/best_epoch": 2.0, "seconds/collect": 0}).items()
    for curve in ("pretrain/loss", "fine-tune/loss"):
        points = mlflow.get_metric_history(run_id, curve)
        assert [(each.step, each.value) for each in points] == [(0, 3.0), (1, 2.0)]
    used = {each.dataset.name: each.dataset.digest for each in run.inputs.dataset_inputs}
    assert used == {
        stage: release.made[stage].digest[:36] for stage in ("collect", "clean", "tokenize", "examples")
    }
    files = [file.path for file in mlflow.list_artifacts(run_id)]
    assert files == ["evaluation.json", "loss_curves.png"]


def test_parameters_hold_no_credentials_and_are_cut_where_mlflow_would_refuse_them() -> None:
    config = {"url": "https://me:secret@host/x", "long": "x" * 7000, "known": 1, "none": None}
    found = {each.key: each.value for each in params("collect", config, {"collect.known"})}
    assert found == {
        "collect.url": "https://host/x",
        "collect.long": "x" * 6000,
        "collect.none": "None",
    }


def test_names_that_mlflow_refuses_are_written_with_underscores(mlflow: Any, model: str) -> None:
    run = find_or_create_run(mlflow, model, KEY)
    log_points(mlflow, run, [point("test/f1: 体育 (a+b)", 0.5, step=0), point("nan", math.nan, step=0)])
    found = mlflow.get_run(run).data.metrics
    assert found["test/f1_ 体育 _a_b_"] == 0.5
    assert math.isnan(found["nan"])


def test_more_points_than_a_request_may_have_all_arrive(mlflow: Any, model: str) -> None:
    run = find_or_create_run(mlflow, model, KEY)
    log_points(mlflow, run, [point("loss", float(step), step) for step in range(2001)])
    assert mlflow.get_run(run).data.metrics["loss"] == 2000.0
    assert len(mlflow.get_metric_history(run, "loss")) == 2001


@pytest.mark.parametrize("live", [False, True])
def test_a_pretraining_is_completed_once(mlflow: Any, model: str, tmp_path: Path, live: bool) -> None:
    store, key = Store(tmp_path), sha256_text(model)
    directory = store.begin("pretrain", key)
    (directory / "model").mkdir()
    (directory / "model" / "config.json").write_text("{}", encoding="utf-8")
    (directory / "loss_curve.png").write_bytes(b"png")
    rows = [{"step": 1, "loss": 2.0}, {"step": 1, "f1": 0.5}, {"step": 2, "loss": 1.0}]
    (directory / "history.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    artifact = publish(
        store, directory, "pretrain", key, config={"family": "bert"}, metrics={"loss": 1.5, "perplexity": 4.5}
    )
    run_id = find_or_create_run(mlflow, model, key, "pretrain")
    if live:
        log_points(mlflow, run_id, [point("pretrain/loss", 3.0, step=1)])
    for _ in range(2):
        log_pretraining(model, artifact, store)
    run = mlflow.get_run(run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"pretrain.family": "bert"})
    assert (run.data.metrics["final/loss"], run.data.metrics["final/perplexity"]) == (1.5, 4.5)
    curve = [each.value for each in mlflow.get_metric_history(run_id, "pretrain/loss")]
    assert curve == ([3.0] if live else [2.0, 1.0])
    assert [file.path for file in mlflow.list_artifacts(run_id)] == ["loss_curve.png", "model"]


def test_without_a_server_a_pretraining_is_not_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    store = Store(tmp_path)
    artifact = publish(store, store.begin("pretrain", KEY), "pretrain", KEY)
    with pytest.raises(ServerError, match="try `textmill up`"):
        log_pretraining("any", artifact, store)
    with pytest.raises(ServerError, match="try `textmill up`"):
        client()
