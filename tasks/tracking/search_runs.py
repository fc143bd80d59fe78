"""A search in MLflow: a run for the search, and below it one for each trial as soon as that is over."""

from __future__ import annotations

import math
import queue
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tasks.tracking.live_figures import LiveRun
from tasks.tracking.runs import find_or_create_run, log_points, params, point

STAGE = "search"
PARENT_TAG = "mlflow.parentRunId"  # by it MLflow shows a run below another one
STATE_TAG = "textmill.trial"


class FinishedTrial(NamedTuple):
    """A trial that is over; `epochs` are the scores after each, `score` is the best, and higher is better."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    values: Mapping[str, Any]
    score: float
    epochs: Mapping[int, float]
    seconds: float
    error: str


class LiveSearch(LiveRun):
    """A context manager around a search; it is told each trial that is over.

    Args:
        experiment: the MLflow experiment; "" sends nothing.
        key: the key of the stage; a search that was interrupted goes on in the run that it began.
        space: what is searched.
    """

    def __init__(self, experiment: str, key: str, space: Mapping[str, Any]) -> None:
        super().__init__(experiment, STAGE, f"{key}/{STAGE}", space)
        self._trials: queue.SimpleQueue[FinishedTrial] = queue.SimpleQueue()
        self._files: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def trial(self, trial: FinishedTrial) -> None:
        """Take a trial that is over; one that is there already is passed over."""
        self._trials.put(trial)

    def attach(self, file: Path) -> None:
        """Take a file that says what was found."""
        self._files.put(file)

    def _send_points(self, mlflow: Any, run_id: str) -> None:
        while not self._trials.empty():
            self._send_trial(mlflow, run_id, self._trials.get())
        while not self._files.empty():
            mlflow.log_artifact(run_id, str(self._files.get()))

    def _send_trial(self, mlflow: Any, parent: str, trial: FinishedTrial) -> None:
        name = f"trial-{trial.number}"
        run_id = find_or_create_run(mlflow, self._experiment, f"{self._key}/{name}", name)
        run = mlflow.get_run(run_id)
        if run.info.status != "RUNNING":
            return
        mlflow.set_tag(run_id, PARENT_TAG, parent)
        mlflow.set_tag(run_id, STATE_TAG, trial.state)
        mlflow.log_batch(run_id, params=list(params("fine_tune", trial.values, run.data.params)))
        points = [point("score", score, step=epoch) for epoch, score in trial.epochs.items()]
        log_points(mlflow, run_id, [*points, point("seconds", trial.seconds, step=0)])
        if math.isfinite(trial.score):
            log_points(mlflow, parent, [point("score", trial.score, step=trial.number)])
        mlflow.set_terminated(run_id, "FAILED" if trial.state == "failed" else "FINISHED")
