"""A training as it runs, in MLflow: its figures by step, a few seconds after they were true.

A thread of its own sends them, so a server that is slow or gone holds nothing up: the training never waits
for MLflow and never fails because of it.
"""

from __future__ import annotations

import os
import platform
import queue
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tasks.contract import console
from tasks.tracking.registry import client
from tasks.tracking.runs import find_or_create_run, log_points, params, point

SECONDS_BETWEEN_REQUESTS = 3.0
SECONDS_TO_FINISH = 20.0
PROCESS_TAG = "textmill.process"
# What is shown of an event, by its name there.
SHOWN = {
    "progress": {
        "loss": "loss",
        "gradient_norm": "gradient_norm",
        "learning_rate": "learning_rate",
        "tokens_per_second": "tokens_per_second",
        "mfu": "mfu",
        "memory_bytes": "memory_bytes",
        "eta_seconds": "eta_seconds",
    },
    "evaluation": {"loss": "validation_loss", "accuracy": "validation_accuracy"},
}


class LiveRun:
    """A context manager around a training; it is called with each event.

    Args:
        experiment: the MLflow experiment; "" sends nothing.
        stage: the name of the stage, which the figures' names begin with.
        key: the stage's key; an interrupted training goes on in the run that it began.
        config: parameters of the run.
    """

    def __init__(self, experiment: str, stage: str, key: str, config: Mapping[str, Any]) -> None:
        self._experiment, self._stage, self._key, self._config = experiment, stage, key, config
        self._points: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._over = threading.Event()
        self._status = "FINISHED"
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take the figures of an event that has any."""
        for name, shown in SHOWN.get(event.get("event", ""), {}).items():
            if event.get(name) is not None:
                self._points.put((f"{self._stage}/{shown}", event[name], event["step"]))

    def __enter__(self) -> Self:
        """Begin to send."""
        if self._experiment:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left, and say how it ended; not for longer than twenty seconds."""
        if kind is not None:
            self._status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        self._over.set()
        if self._experiment:
            self._thread.join(SECONDS_TO_FINISH)

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:  # whatever it is, it must not touch the training
            reason = str(error).partition("\n")[0]
            console.say(f"  [yellow]no live figures in MLflow: {console.escaped(reason)}[/]")

    def _send(self) -> None:
        mlflow = client()
        run_id = find_or_create_run(mlflow, self._experiment, self._key, self._stage)
        _close_killed(mlflow, run_id)
        mlflow.update_run(run_id, status="RUNNING")
        mlflow.set_tag(run_id, PROCESS_TAG, f"{platform.node()} {os.getpid()}")
        known = set(mlflow.get_run(run_id).data.params)
        mlflow.log_batch(run_id, params=list(params(self._stage, self._config, known)))
        while not self._over.wait(SECONDS_BETWEEN_REQUESTS):
            self._send_points(mlflow, run_id)
        self._send_points(mlflow, run_id)
        mlflow.set_terminated(run_id, self._status)

    def _send_points(self, mlflow: Any, run_id: str) -> None:
        log_points(mlflow, run_id, [point(*self._points.get()) for _ in range(self._points.qsize())])


def _close_killed(mlflow: Any, run_id: str) -> None:
    """Give an end to runs whose process on this machine was killed before it could do so itself."""
    import psutil

    experiment = mlflow.get_run(run_id).info.experiment_id
    for run in mlflow.search_runs([experiment], "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get(PROCESS_TAG, "").rpartition(" ")
        if process and host == platform.node() and not psutil.pid_exists(int(process)):
            mlflow.set_terminated(run.info.run_id, "KILLED")
