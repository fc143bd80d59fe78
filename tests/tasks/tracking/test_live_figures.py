"""Figures while a training runs: a server that is not there is named, and nothing else happens."""

import pytest

from tasks.tracking.live_figures import LiveRun

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
