"""Stage 10: log the run in MLflow and, when the gate let the model through, register a version."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field, field_validator

from deploy.repository import fault_of_name
from tasks.artifact import Artifact, Manifest
from tasks.errors import GateRefused
from tasks.labelled.artifact import read_split, task_of
from tasks.model_card import model_card
from tasks.registry import (
    CHALLENGER,
    CHAMPION,
    COMPARED_TAG,
    MODEL_TAG,
    SERVED_TASK,
    ModelVersion,
    by_alias,
    by_digest,
    by_version,
    client,
    reachable,
)
from tasks.stage import Config, Run, Workspace, stage
from tasks.tracking import find_or_create_run, log_run

SERVED_CODE = Path(__file__).with_name("pyfunc_model.py")
SERVED_PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers")
TASK_CODE = Path(__file__).with_name("pyfunc_task.py")
TASK_PACKAGES = ("mlflow-skinny", "numpy", "pandas", "safetensors", "tokenizers", "torch", "transformers")
MODEL_CODE = Path(__file__).resolve().parent.parent / "model_code"
ADAPTER = "-adapter"
CARD = "model_card.md"
LONGEST_DESCRIPTION = 5000  # characters, of MLflow's column; the whole card is among the version's files


class RegisterConfig(Config):
    """Under which name the model is registered."""

    model: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Name of the MLflow experiment, the registered model and the endpoint.",
    )

    @field_validator("model")
    @classmethod
    def _can_be_registered_and_served(cls, model: str) -> str:
        if fault := fault_of_name(model):
            raise ValueError(fault)
        if model.endswith(ADAPTER):
            raise ValueError(
                f"this ending is kept for adapters: those of the model {model.removesuffix(ADAPTER)!r} are "
                "registered under it; take another one"
            )
        return model


def still_registered(manifest: Manifest, config: RegisterConfig, run: Run) -> bool:
    """Whether the version that the artifact speaks of is in the registry, with the alias it got for good."""
    if not reachable():
        return False
    mlflow, number = client(), int(manifest.external["version"])
    found = by_version(mlflow, config.model, number)
    if found is None or found.digest != manifest.inputs["model"]["digest"]:
        return False
    champion = by_alias(mlflow, config.model, CHAMPION)
    return manifest.external["alias"] != CHAMPION or (champion is not None and champion.version == number)


@stage(runs=("tasks.pyfunc_model", "tasks.pyfunc_task", "model_code.task_types."), holds=still_registered)
def register(
    collected: Artifact,
    cleaned: Artifact,
    tokens: Artifact,
    examples: Artifact,
    pretrained: Artifact,
    model: Artifact,
    evaluation: Artifact,
    champion: ModelVersion | None,
    config: RegisterConfig,
    workspace: Workspace,
) -> None:
    """Log parameters, metrics, data sets and plots; register the checkpoint with the alias `challenger`.

    Where the line ends here it is the `champion` too, which the next one has to stand comparison with.
    The model card goes with it, and an adapter is registered by itself too, as `NAME-adapter`.
    A repeated call finds the run and the version of the first one by their tags and finishes them.

    Raises:
        GateRefused: the gate refused the model; it is logged, and registered nowhere.
        ServerError: MLflow does not answer.
    """
    made = (collected, cleaned, tokens, examples, pretrained, model, evaluation)
    manifests = {artifact.stage: workspace.manifest(artifact) for artifact in made}
    result = json.loads((workspace.path(evaluation) / "evaluation.json").read_text(encoding="utf-8"))
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
    card = model_card(config.model, manifests, result)
    (workspace.directory / CARD).write_text(card, encoding="utf-8")
    workspace.shown.append(card)
    version, served = by_digest(mlflow, config.model, model.digest), _is_served(examples, workspace)
    if version is None:
        logged = _log_model(mlflow, run_id, config.model, served, workspace, model)
        compared = {COMPARED_TAG: str(champion.version) if champion else ""}
        version = _new_version(mlflow, run_id, config.model, logged, model.digest, compared, card)
        mlflow.set_registered_model_alias(config.model, CHALLENGER, str(version.version))
    adapter = workspace.path(model) / "adapter"
    if adapter.is_dir() and by_digest(mlflow, config.model + ADAPTER, model.digest) is None:
        logged = _log_files(mlflow, run_id, config.model + ADAPTER, adapter)
        _new_version(mlflow, run_id, config.model + ADAPTER, logged, model.digest, {}, card)
    alias = CHALLENGER if served else CHAMPION
    if not served:
        mlflow.set_registered_model_alias(config.model, CHAMPION, str(version.version))
    mlflow.set_tag(run_id, "textmill.gate", "passed")
    mlflow.set_terminated(run_id, "FINISHED")
    content = {"model": config.model, "digest": model.digest}
    (workspace.directory / "registration.json").write_text(
        json.dumps(content, indent=2) + "\n", encoding="utf-8"
    )
    workspace.external |= {"version": str(version.version), "run_id": run_id, "alias": alias}
    workspace.external["experiment_id"] = mlflow.get_run(run_id).info.experiment_id
    workspace.say(f"{config.model} version {version.version}, alias {alias}")


def registered_version(registered: Artifact, workspace: Workspace) -> ModelVersion:
    """The model version that a register artifact stands for."""
    content = json.loads((workspace.path(registered) / "registration.json").read_text(encoding="utf-8"))
    version = int(workspace.manifest(registered).external["version"])
    return ModelVersion(model=content["model"], version=version, digest=content["digest"])


def _is_served(examples: Artifact, workspace: Workspace) -> bool:
    """Whether the line goes on to the endpoint, so that the version gets an ONNX build of its model."""
    directory = workspace.path(examples)
    return task_of(directory) == SERVED_TASK and "second" not in read_split(directory, "test")[0]


def _log_model(
    mlflow: Any, run_id: str, name: str, served: bool, workspace: Workspace, model: Artifact
) -> str:
    """Upload the checkpoint with its card and the code that loads it; returns the id of the logged model."""
    logged = _new_logged_model(mlflow, run_id, name)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary) / "model"
        _save_pyfunc(directory, workspace.path(model) / "model", served, logged, run_id)
        shutil.copyfile(workspace.directory / CARD, directory / "README.md")
        mlflow.log_model_artifacts(logged, str(directory))
    return _finished(mlflow, run_id, logged)


def _log_files(mlflow: Any, run_id: str, name: str, directory: Path) -> str:
    """Upload a folder as it is; returns the id of the logged model."""
    logged = _new_logged_model(mlflow, run_id, name)
    mlflow.log_model_artifacts(logged, str(directory))
    return _finished(mlflow, run_id, logged)


def _new_logged_model(mlflow: Any, run_id: str, name: str) -> str:
    experiment_id = mlflow.get_run(run_id).info.experiment_id
    return str(mlflow.create_logged_model(experiment_id, name=name, source_run_id=run_id).model_id)


def _finished(mlflow: Any, run_id: str, logged: str) -> str:
    from mlflow.entities import LoggedModelOutput

    mlflow.finalize_logged_model(logged, "READY")
    mlflow.log_outputs(run_id, [LoggedModelOutput(logged, step=0)])
    return logged


def _new_version(
    mlflow: Any, run_id: str, name: str, logged: str, digest: str, tags: Mapping[str, str], card: str
) -> ModelVersion:
    """A version of the registered model `name` that consists of the logged model's files."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it exists already
        mlflow.create_registered_model(name)
    version = mlflow.create_model_version(
        name,
        source=f"models:/{logged}",
        run_id=run_id,
        tags={MODEL_TAG: digest, **tags},
        model_id=logged,
        description=card if len(card) <= LONGEST_DESCRIPTION else f"{card[: LONGEST_DESCRIPTION - 2]} …",
    )
    return ModelVersion(model=name, version=int(version.version), digest=digest)


def _save_pyfunc(directory: Path, checkpoint: Path, served: bool, model_id: str, run_id: str) -> None:
    import mlflow
    from mlflow.models import Model

    packages = SERVED_PACKAGES if served else TASK_PACKAGES
    with warnings.catch_warnings():
        # `predict` of TASK_CODE has none, for the reason that stands there.
        warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")
        mlflow.pyfunc.save_model(
            directory,
            python_model=str(SERVED_CODE if served else TASK_CODE),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=None if served else [str(MODEL_CODE)],
            # "+cpu" and the like name a build that is on no index.
            pip_requirements=[f"{package}=={installed(package).partition('+')[0]}" for package in packages],
            mlflow_model=Model(model_id=model_id, run_id=run_id),
        )
