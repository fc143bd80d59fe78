"""Stage 8: log the run in MLflow and, when the gate let the model through, register a version."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from tasks.artifact import Artifact, Manifest
from tasks.errors import GateRefused
from tasks.registry import (
    CHALLENGER,
    COMPARED_TAG,
    MODEL_TAG,
    ModelVersion,
    by_digest,
    by_version,
    client,
    reachable,
)
from tasks.stage import Config, Run, Workspace, stage
from tasks.tracking import find_or_create_run, log_run

PYFUNC_CODE = Path(__file__).with_name("pyfunc_model.py")
SERVING_PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers")


class RegisterConfig(Config):
    """Under which name the model is registered."""

    model: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Name of the MLflow experiment, the registered model and the endpoint.",
    )


def still_registered(manifest: Manifest, config: RegisterConfig, run: Run) -> bool:
    """Whether the version that the artifact speaks of is in the registry."""
    if not reachable():
        return False
    found = by_version(client(), config.model, int(manifest.external["version"]))
    return found is not None and found.digest == manifest.inputs["model"]["digest"]


@stage(runs=("tasks.pyfunc_model",), holds=still_registered)
def register(
    collected: Artifact,
    cleaned: Artifact,
    tokens: Artifact,
    pretrained: Artifact,
    model: Artifact,
    evaluation: Artifact,
    champion: ModelVersion | None,
    config: RegisterConfig,
    workspace: Workspace,
) -> None:
    """Log parameters, metrics, data sets and plots; register the checkpoint with the alias `challenger`.

    A repeated call finds the run and the version of the first one by their tags and finishes them.

    Raises:
        GateRefused: the gate refused the model; it is logged, and registered nowhere.
        ServerError: MLflow does not answer.
    """
    made = (collected, cleaned, tokens, pretrained, model, evaluation)
    manifests = {artifact.stage: workspace.manifest(artifact) for artifact in made}
    result = json.loads((workspace.path(evaluation) / "evaluation.json").read_text())
    mlflow = client()
    run_id = find_or_create_run(mlflow, config.model, workspace.key)
    log_run(mlflow, run_id, manifests, result, workspace.path)
    if not result["gate"]["passed"]:
        mlflow.set_tag(run_id, "textmill.gate", "refused")
        mlflow.set_terminated(run_id, "FINISHED")
        failed = [demand for demand in result["gate"]["demands"] if not demand["passed"]]
        reasons = "; ".join(f"{d['name']} is {d['found']:.4f}, demanded {d['demand']}" for d in failed)
        raise GateRefused(
            f"register: the gate refused the model: {reasons}. It is logged as run {run_id} in MLflow and "
            "registered nowhere; improve the data or the training, or change `evaluate` in the recipe"
        )
    version = by_digest(mlflow, config.model, model.digest)
    if version is None:
        version = _register(mlflow, run_id, config, workspace.path(model) / "model", model, champion)
        mlflow.set_registered_model_alias(config.model, CHALLENGER, str(version.version))
    mlflow.set_tag(run_id, "textmill.gate", "passed")
    mlflow.set_terminated(run_id, "FINISHED")
    content = {"model": config.model, "digest": model.digest}
    (workspace.directory / "registration.json").write_text(json.dumps(content, indent=2) + "\n")
    workspace.external |= {"version": str(version.version), "run_id": run_id}
    workspace.external["experiment_id"] = mlflow.get_run(run_id).info.experiment_id
    workspace.say(f"{config.model} version {version.version}, alias {CHALLENGER}")


def registered_version(registered: Artifact, workspace: Workspace) -> ModelVersion:
    """The model version that a register artifact stands for."""
    content = json.loads((workspace.path(registered) / "registration.json").read_text())
    version = int(workspace.manifest(registered).external["version"])
    return ModelVersion(model=content["model"], version=version, digest=content["digest"])


def _register(
    mlflow: Any,
    run_id: str,
    config: RegisterConfig,
    checkpoint: Path,
    model: Artifact,
    champion: ModelVersion | None,
) -> ModelVersion:
    """Upload the checkpoint with its pyfunc code as a logged model, and make a version of it."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    experiment_id = mlflow.get_run(run_id).info.experiment_id
    logged = mlflow.create_logged_model(experiment_id, name=config.model, source_run_id=run_id)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary) / "model"
        _save_pyfunc(directory, checkpoint, logged.model_id, run_id)
        mlflow.log_model_artifacts(logged.model_id, str(directory))
    mlflow.finalize_logged_model(logged.model_id, "READY")
    mlflow.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    tags = {MODEL_TAG: model.digest, COMPARED_TAG: str(champion.version) if champion else ""}
    with suppress(MlflowException):  # it exists already
        mlflow.create_registered_model(config.model)
    version = mlflow.create_model_version(
        config.model, source=f"models:/{logged.model_id}", run_id=run_id, tags=tags, model_id=logged.model_id
    )
    return ModelVersion(model=config.model, version=int(version.version), digest=model.digest)


def _save_pyfunc(directory: Path, checkpoint: Path, model_id: str, run_id: str) -> None:
    import mlflow
    from mlflow.models import Model

    mlflow.pyfunc.save_model(
        directory,
        python_model=str(PYFUNC_CODE),
        artifacts={"checkpoint": str(checkpoint)},
        pip_requirements=[f"{package}=={installed(package)}" for package in SERVING_PACKAGES],
        mlflow_model=Model(model_id=model_id, run_id=run_id),
    )
