"""A search in MLflow: a run of its own, and one below it for each trial as soon as that is over."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking.runs import find_or_create_run
from tasks.tracking.search_runs import PARENT_TAG, STATE_TAG, FinishedTrial, LiveSearch

KEY = "k" * 64
TRIALS = (
    FinishedTrial(0, "complete", {"learning_rate": 0.1}, 0.5, {1: 0.4, 2: 0.5}, 3.0, ""),
    FinishedTrial(1, "pruned", {"learning_rate": 0.2}, 0.3, {1: 0.3}, 1.0, ""),
    FinishedTrial(2, "failed", {"learning_rate": 9.0}, -math.inf, {}, 0.5, "the loss is not a number"),
)


def test_without_a_server_the_search_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with LiveSearch("any", KEY, {}) as live:
        live.trial(TRIALS[0])
    assert capsys.readouterr().out.startswith("  no live figures in MLflow: the MLflow server at http://127")


def test_every_trial_is_a_run_below_the_search(mlflow: Any, model: str, tmp_path: Path) -> None:
    (tmp_path / "trials.json").write_text("[]", encoding="utf-8")
    for _ in range(2):  # an interrupted search tells its first trials again
        with LiveSearch(model, KEY, {"trials": 3}) as live:
            for trial in TRIALS:
                live.trial(trial)
            live.attach(tmp_path / "trials.json")
    search = mlflow.get_run(find_or_create_run(mlflow, model, f"{KEY}/search"))
    assert (search.info.status, search.data.params) == ("FINISHED", {"search.trials": "3"})
    best = {(each.step, each.value) for each in mlflow.get_metric_history(search.info.run_id, "score")}
    assert best == {(0, 0.5), (1, 0.3)}
    assert [file.path for file in mlflow.list_artifacts(search.info.run_id)] == ["trials.json"]
    below = [
        run
        for run in mlflow.search_runs([search.info.experiment_id])
        if run.data.tags.get(PARENT_TAG) == search.info.run_id
    ]
    found = {
        run.info.run_name.rpartition("-")[0]: (
            run.info.status,
            run.data.tags[STATE_TAG],
            run.data.params["fine_tune.learning_rate"],
            run.data.metrics["seconds"],
            [(each.step, each.value) for each in mlflow.get_metric_history(run.info.run_id, "score")],
        )
        for run in below
    }
    assert len(below) == 3
    assert found == {
        "trial-0": ("FINISHED", "complete", "0.1", 3.0, [(1, 0.4), (2, 0.5)]),
        "trial-1": ("FINISHED", "pruned", "0.2", 1.0, [(1, 0.3)]),
        "trial-2": ("FAILED", "failed", "9.0", 0.5, []),
    }
