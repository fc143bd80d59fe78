"""What a run looks like in MLflow: parameters, metrics, data sets, loss curves and plots."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from corpus.redaction import redacted
from tasks.contract.artifact import Artifact, Manifest, sha256_text
from tasks.contract.store import Store
from tasks.tracking.registry import KEY_TAG, client, server_address

METRICS_PER_REQUEST = 1000
HOME_TAG = "textmill.home"
# Without it MLflow guesses the kind of an experiment, and shows pages for chat applications.
TRAINING = {"mlflow.experimentKind": "custom_model_development"}
CURVES = {"pretrain": "pretrain", "fine_tune": "fine-tune"}
DATASETS = ("collect", "clean", "tokenize", "examples")


def find_or_create_run(mlflow: Any, experiment: str, key: str, name: str = "run") -> str:
    """The id of this home's MLflow run for a stage key: an earlier attempt's, or a new one."""
    experiment_id = _experiment(mlflow, experiment)
    if earlier := _runs(mlflow, experiment_id, key):
        return str(earlier[0].info.run_id)
    tags = {KEY_TAG: key, HOME_TAG: _home()}
    return str(mlflow.create_run(experiment_id, run_name=f"{name}-{key[:8]}", tags=tags).info.run_id)


def _experiment(mlflow: Any, name: str) -> str:
    """The id of an experiment, made when there is none; another run may be making it at this time."""
    from mlflow.exceptions import MlflowException

    if found := mlflow.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(mlflow.create_experiment(name, tags=TRAINING))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(mlflow.get_experiment_by_name(name).experiment_id)


def _runs(mlflow: Any, experiment_id: str, key: str) -> list[Any]:
    tags = f"tags.`{KEY_TAG}` = '{key}' and tags.`{HOME_TAG}` = '{_home()}'"
    return list(mlflow.search_runs([experiment_id], tags))


def _home() -> str:
    """Which home this is: two that make the same thing at one time would write into one run."""
    return sha256_text(f"{platform.node()} {os.environ.get('TEXTMILL_HOME', '')}")[:16]


def attach(experiment: str, key: str, file: Path, folder: str = "") -> str:
    """Attach a file to the MLflow run of a stage key; returns the address of its page, "" without a run."""
    mlflow = client()
    found = mlflow.get_experiment_by_name(experiment)
    runs = _runs(mlflow, found.experiment_id, key) if found else []
    if not runs:
        return ""
    run_id = runs[0].info.run_id
    mlflow.log_artifact(run_id, str(file), folder or None)
    place = f"{folder}/{file.name}".lstrip("/")
    return f"{server_address()}/#/experiments/{found.experiment_id}/runs/{run_id}/artifacts/{place}"


def log_run(
    mlflow: Any,
    run_id: str,
    manifests: Mapping[str, Manifest],
    evaluation: Mapping[str, Any],
    path: Callable[[Artifact], Path],
) -> None:
    """Log everything that describes the run; a second call adds nothing."""
    run = mlflow.get_run(run_id)
    known = set(run.data.params)
    for stage, manifest in manifests.items():
        mlflow.log_batch(run_id, params=list(params(stage, manifest.whole_config, known)))
    if not run.data.metrics:
        curves = (
            _curve(name, path(manifests[stage].artifact) / "history.jsonl")
            for stage, name in CURVES.items()
            if stage in manifests
        )
        log_points(mlflow, run_id, [*_metrics(manifests, evaluation), *chain.from_iterable(curves)])
    if not run.inputs.dataset_inputs:
        mlflow.log_inputs(run_id, list(_datasets(manifests)))
    judged = path(manifests["evaluate"].artifact)
    for file in sorted({judged / "evaluation.json", *judged.glob("*.png")}):  # the others hold text
        mlflow.log_artifact(run_id, str(file))


def log_pretraining(experiment: str, pretrained: Artifact, store: Store) -> None:
    """Complete the MLflow run of a pretrained model: parameters, figures, loss curve, the model.

    The run was begun while the training ran, if MLflow did too; a second call adds nothing.

    Raises:
        ServerError: MLflow does not answer.
    """
    manifest, directory = store.manifest(pretrained.stage, pretrained.key), store.path(pretrained)
    assert manifest is not None
    mlflow = client()
    run_id = find_or_create_run(mlflow, experiment, manifest.key, manifest.stage)
    known = mlflow.get_run(run_id).data
    mlflow.log_batch(run_id, params=list(params(manifest.stage, manifest.whole_config, known.params)))
    if "final/loss" not in known.metrics:
        final = [point(f"final/{name}", value, step=0) for name, value in manifest.metrics.items()]
        curve = () if "pretrain/loss" in known.metrics else _curve("pretrain", directory / "history.jsonl")
        log_points(mlflow, run_id, [*final, *curve])
    if not mlflow.list_artifacts(run_id, "model"):
        mlflow.log_artifact(run_id, str(directory / "loss_curve.png"))
        mlflow.log_artifacts(run_id, str(directory / "model"), "model")
    mlflow.set_terminated(run_id, "FINISHED")


def log_points(mlflow: Any, run_id: str, points: Sequence[Any]) -> None:
    """Log figures in as few requests as MLflow allows."""
    for start in range(0, len(points), METRICS_PER_REQUEST):
        mlflow.log_batch(run_id, metrics=points[start : start + METRICS_PER_REQUEST])


def params(stage: str, config: Mapping[str, Any], known: Collection[str]) -> Iterator[Any]:
    """The values of a stage's config as MLflow parameters, without those that are `known` there."""
    from mlflow.entities import Param

    for name, value in config.items():
        if f"{stage}.{name}" not in known:
            yield Param(f"{stage}.{name}", redacted(str(value))[:6000])


def point(name: str, value: float, step: int) -> Any:
    """A figure at a step, now; what MLflow does not allow in a name becomes an underscore."""
    from mlflow.entities import Metric

    return Metric(re.sub(r"[^\w\-./ ]", "_", name), float(value), int(time.time() * 1000), step)


def _metrics(manifests: Mapping[str, Manifest], evaluation: Mapping[str, Any]) -> Iterator[Any]:
    figures = {"test": evaluation["model"], "pretrained": evaluation["pretrained"], **evaluation["baselines"]}
    figures["fine_tune"] = manifests["fine_tune"].metrics  # the privacy that was spent is among them
    figures["seconds"] = {stage: manifest.seconds for stage, manifest in manifests.items()}
    for group, values in figures.items():
        for name, value in values.items():
            yield point(f"{group}/{name}", value, step=0)


def _curve(name: str, history: Path) -> Iterator[Any]:
    with history.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if "step" in row and "loss" in row:
                yield point(f"{name}/loss", row["loss"], step=row["step"])


def _datasets(manifests: Mapping[str, Manifest]) -> Iterator[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for stage in filter(manifests.__contains__, DATASETS):
        manifest = manifests[stage]
        source = json.dumps({"artifact": f"{stage}/{manifest.key}"})
        profile = json.dumps(manifest.counts)
        dataset = Dataset(stage, manifest.digest[:36], "local", source, profile=profile)
        yield DatasetInput(dataset, [InputTag("mlflow.data.context", stage)])
