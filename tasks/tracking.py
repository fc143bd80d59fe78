"""What a run looks like in MLflow: parameters, metrics, data sets, loss curves and plots."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.artifact import Artifact, Manifest
from tasks.registry import KEY_TAG, client

METRICS_PER_REQUEST = 1000
# Without it MLflow guesses the kind of an experiment, and shows pages for chat applications.
TRAINING = {"mlflow.experimentKind": "custom_model_development"}
CURVES = {"pretrain": "pretrain", "fine_tune": "fine-tune"}
DATASETS = ("collect", "clean", "tokenize")


def find_or_create_run(mlflow: Any, experiment: str, key: str) -> str:
    """The id of the MLflow run that belongs to a stage key: an earlier attempt's, or a new one."""
    found = mlflow.get_experiment_by_name(experiment)
    experiment_id = found.experiment_id if found else mlflow.create_experiment(experiment, tags=TRAINING)
    earlier = mlflow.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'")
    if earlier:
        return str(earlier[0].info.run_id)
    return str(mlflow.create_run(experiment_id, run_name=f"run-{key[:8]}", tags={KEY_TAG: key}).info.run_id)


def attach(experiment: str, key: str, file: Path, folder: str = "") -> str:
    """Attach a file to the MLflow run of a stage key; returns the address of its page, "" without a run."""
    mlflow = client()
    found = mlflow.get_experiment_by_name(experiment)
    runs = mlflow.search_runs([found.experiment_id], f"tags.`{KEY_TAG}` = '{key}'") if found else []
    if not runs:
        return ""
    run_id = runs[0].info.run_id
    mlflow.log_artifact(run_id, str(file), folder or None)
    uri, place = os.environ["MLFLOW_TRACKING_URI"], f"{folder}/{file.name}".lstrip("/")
    return f"{uri}/#/experiments/{found.experiment_id}/runs/{run_id}/artifacts/{place}"


def log_run(
    mlflow: Any,
    run_id: str,
    manifests: Mapping[str, Manifest],
    evaluation: Mapping[str, Any],
    path: Callable[[Artifact], Path],
) -> None:
    """Log everything that describes the run; a second call adds nothing."""
    run = mlflow.get_run(run_id)
    mlflow.log_batch(run_id, params=list(_params(manifests, known=set(run.data.params))))
    if not run.data.metrics:
        points = [*_metrics(manifests, evaluation), *_curves(manifests, path)]
        for start in range(0, len(points), METRICS_PER_REQUEST):
            mlflow.log_batch(run_id, metrics=points[start : start + METRICS_PER_REQUEST])
    if not run.inputs.dataset_inputs:
        mlflow.log_inputs(run_id, list(_datasets(manifests)))
    judged = path(manifests["evaluate"].artifact)
    for name in ("evaluation.json", "confusion_matrix.png", "loss_curves.png"):
        mlflow.log_artifact(run_id, str(judged / name))


def _params(manifests: Mapping[str, Manifest], known: set[str]) -> Iterator[Any]:
    from mlflow.entities import Param

    for stage, manifest in manifests.items():
        for name, value in manifest.config.items():
            if f"{stage}.{name}" not in known:
                yield Param(f"{stage}.{name}", str(value)[:6000])


def _metrics(manifests: Mapping[str, Manifest], evaluation: Mapping[str, Any]) -> Iterator[Any]:
    figures = {"test": evaluation["model"], "pretrained": evaluation["pretrained"], **evaluation["baselines"]}
    figures["seconds"] = {stage: manifest.seconds for stage, manifest in manifests.items()}
    for group, values in figures.items():
        for name, value in values.items():
            yield _point(f"{group}/{name}", value, step=0)


def _curves(manifests: Mapping[str, Manifest], path: Callable[[Artifact], Path]) -> Iterator[Any]:
    for stage, name in CURVES.items():
        with (path(manifests[stage].artifact) / "history.jsonl").open() as lines:
            for point in map(json.loads, lines):
                if "step" in point and "loss" in point:
                    yield _point(f"{name}/loss", point["loss"], step=point["step"])


def _point(name: str, value: float, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(re.sub(r"[^\w\-./ ]", "_", name), float(value), int(time.time() * 1000), step)


def _datasets(manifests: Mapping[str, Manifest]) -> Iterator[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for stage in DATASETS:
        manifest = manifests[stage]
        source = json.dumps({"artifact": f"{stage}/{manifest.key}"})
        profile = json.dumps(manifest.counts)
        dataset = Dataset(stage, manifest.digest[:36], "local", source, profile=profile)
        yield DatasetInput(dataset, [InputTag("mlflow.data.context", stage)])
