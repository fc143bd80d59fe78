"""Figures while a training runs: they arrive, and a server that is not there is named and nothing else."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

import pytest

from tasks.tracking.live_figures import PROCESS_TAG, LiveRun
from tasks.tracking.runs import find_or_create_run

PROGRESS = {"event": "progress", "step": 1, "loss": 2.0}


def test_without_a_server_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with LiveRun("experiment", "pretrain", "k" * 64, {}) as live:
        live(PROGRESS)
    said = capsys.readouterr().out
    assert said.startswith("  no live figures in MLflow: the MLflow server at http://127.0.0.1:9 does not")
    assert said.count("\n") == 1


def test_without_an_experiment_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with LiveRun("", "pretrain", "k" * 64, {}) as live:
        live(PROGRESS)
    assert capsys.readouterr().out == ""


def test_an_error_of_the_training_stays_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match="not a number"), LiveRun("experiment", "pretrain", "k", {}):
        raise ValueError("not a number")


KEY = "k" * 64


def run_of(mlflow: Any, model: str, key: str = KEY) -> Any:
    return mlflow.get_run(find_or_create_run(mlflow, model, key))


def test_figures_arrive_by_step_with_the_parameters(mlflow: Any, model: str) -> None:
    with LiveRun(model, "fine_tune", KEY, {"epochs": 3}) as live:
        live(PROGRESS | {"learning_rate": 0.1, "mfu": None})
        live({"event": "evaluation", "step": 5, "loss": 1.5, "accuracy": 0.5})
        live({"event": "resumed", "step": 7})
        live({"line": "no event at all"})
    run = run_of(mlflow, model)
    assert run.data.metrics == {
        "fine_tune/loss": 2.0,
        "fine_tune/learning_rate": 0.1,
        "fine_tune/validation_loss": 1.5,
        "fine_tune/validation_accuracy": 0.5,
    }
    (validation,) = mlflow.get_metric_history(run.info.run_id, "fine_tune/validation_loss")
    assert validation.step == 5
    assert (run.info.status, run.data.params) == ("FINISHED", {"fine_tune.epochs": "3"})


def test_an_interrupted_training_goes_on_in_its_run(mlflow: Any, model: str) -> None:
    for step, epochs in ((1, 3), (2, 4)):  # what is outside of the key may differ
        with LiveRun(model, "fine_tune", KEY, {"epochs": epochs}) as live:
            live(PROGRESS | {"step": step})
    run = run_of(mlflow, model)
    points = mlflow.get_metric_history(run.info.run_id, "fine_tune/loss")
    assert [each.step for each in points] == [1, 2]
    assert run.data.params == {"fine_tune.epochs": "3"}


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_says_how_its_training_ended(
    mlflow: Any, model: str, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), LiveRun(model, "pretrain", KEY, {}):
        raise error
    assert run_of(mlflow, model).info.status == status


def test_a_run_whose_process_was_killed_is_ended_by_the_next(mlflow: Any, model: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    tags = {"a": f"{platform.node()} {gone.pid}", "b": f"elsewhere {gone.pid}", "c": f"{platform.node()} 1"}
    for key, tag in tags.items():
        mlflow.set_tag(find_or_create_run(mlflow, model, key), PROCESS_TAG, tag)
    find_or_create_run(mlflow, model, "d")  # of no process that is known
    with LiveRun(model, "pretrain", KEY, {}):
        pass
    found = {key: run_of(mlflow, model, key).info.status for key in "abcd"}
    assert found == {"a": "KILLED", "b": "RUNNING", "c": "RUNNING", "d": "RUNNING"}
