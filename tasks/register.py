"""Stage: log the run in MLflow and, when the gate let the model through, register a version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field, field_validator

from corpus.examples.written_examples import task_of
from deploy.repository import fault_of_name
from model_code.config.strict import Config
from tasks.contract.artifact import Artifact, Manifest, sha256_file
from tasks.contract.console import escaped, say
from tasks.contract.errors import GateRefused
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.evaluation.gate import refused, way_out
from tasks.evaluation.kept_predictions import FILE as PREDICTIONS
from tasks.tracking.model_card import model_card
from tasks.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    COLLECTION_TAG,
    COMPARED_TAG,
    MODEL_TAG,
    VERDICT_TAG,
    ModelVersion,
    SearchedCollection,
    by_alias,
    by_version,
    client,
    keep_oldest,
    logged_model,
    point_challenger_at_newest,
    reachable,
)
from tasks.tracking.runs import find_or_create_run, log_run
from tasks.tracking.version_files import (
    JUDGED,
    REGISTERED,
    verified_files,
    version_identity,
    what_differs,
    write_sums,
)

SERVED_CODE = Path(__file__).parent / "tracking" / "pyfunc_model.py"
SERVED_PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers")
CHATS = ("instructions", "preference")  # whose checkpoints may have a chat template, written in Jinja
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
    searched = manifest.inputs["collection"] or {"digest": ""}
    if found is None or found.digest != manifest.inputs["model"]["digest"]:
        return False
    if found.collection != searched["digest"]:
        return False
    champion = by_alias(mlflow, config.model, CHAMPION)
    if manifest.external["alias"] == CHAMPION and (champion is None or champion.version != number):
        return False
    if differs := what_differs(REGISTERED, found, manifest, run.store):
        say(f"[yellow]register: {escaped(differs)}[/]")
    return not differs


@stage(
    runs=("tasks.tracking.pyfunc_model", "model_code.task_types."),
    is_current=still_registered,
)
def register(
    collected: Artifact | None,
    cleaned: Artifact | None,
    tokens: Artifact | None,
    examples: Artifact,
    pretrained: Artifact | None,
    model: Artifact,
    evaluation: Artifact,
    champion: ModelVersion | None,
    collection: SearchedCollection | None,
    config: RegisterConfig,
    workspace: Workspace,
) -> None:
    """Log parameters, metrics, data sets and plots; register the checkpoint with the alias `challenger`.

    Where the pipeline ends here it is the `champion` too, which the next one has to stand comparison with.
    A model that is there already becomes another version where its endpoint is to search another collection.
    The model card goes with it, and an adapter is registered by itself too, as `NAME-adapter`. What a recipe
    without a corpus or without pretraining does not make is None.
    A repeated call finds the run and the version of the first one by their tags and finishes them.

    Raises:
        GateRefused: the gate refused the model; it is logged, and registered nowhere.
        ServerError: MLflow does not answer.
    """
    made = (collected, cleaned, tokens, examples, pretrained, model, evaluation)
    manifests = {artifact.stage: workspace.manifest(artifact) for artifact in made if artifact}
    result = json.loads((workspace.path(evaluation) / "evaluation.json").read_text(encoding="utf-8"))
    mlflow = client()
    run_id = find_or_create_run(mlflow, config.model, workspace.key)
    log_run(mlflow, run_id, manifests, result, workspace.path)
    gate = result["gate"]
    mlflow.set_tag(run_id, VERDICT_TAG, gate["says"])
    if not gate["passed"]:
        mlflow.set_tag(run_id, "textmill.gate", "refused")
        mlflow.set_terminated(run_id, "FINISHED")
        raise GateRefused(
            f"register: {refused(gate)}. It is logged as run {run_id} in MLflow and registered nowhere; "
            f"{way_out(gate)}"
        )
    card = model_card(config.model, manifests, result)
    (workspace.directory / CARD).write_text(card, encoding="utf-8")
    workspace.shown.append(card)
    task = task_of(workspace.path(examples))
    searched = collection.digest if collection else ""
    version, logged = keep_oldest(mlflow, config.model, model.digest, searched), ""
    if version is None:
        compared = {COMPARED_TAG: str(champion.version) if champion else "", VERDICT_TAG: gate["says"]}
        compared |= {COLLECTION_TAG: searched} if searched else {}
        logged, sums = _log_model(mlflow, run_id, config.model, task, workspace, model, evaluation)
        version = _new_version(mlflow, run_id, config.model, logged, model.digest, compared | sums, card)
    if logged_model(mlflow, version) != logged:
        _take_over(mlflow, version, workspace)
    workspace.volatile.add(REGISTERED.sums)  # MLflow's own file among them has times and ids in it
    adapter = workspace.path(model) / "adapter"
    if adapter.is_dir() and keep_oldest(mlflow, config.model + ADAPTER, model.digest) is None:
        logged, sums = _log_adapter(mlflow, run_id, config.model + ADAPTER, adapter)
        _new_version(mlflow, run_id, config.model + ADAPTER, logged, model.digest, sums, card)
    point_challenger_at_newest(mlflow, config.model)
    mlflow.set_tag(run_id, "textmill.gate", "passed")
    mlflow.set_terminated(run_id, "FINISHED")
    content = {"model": config.model, "digest": model.digest}
    content |= {"collection": searched} if searched else {}
    (workspace.directory / "registration.json").write_text(
        json.dumps(content, indent=2) + "\n", encoding="utf-8"
    )
    workspace.external |= version_identity(version) | {"run_id": run_id, "alias": CHALLENGER}
    workspace.external["experiment_id"] = mlflow.get_run(run_id).info.experiment_id
    workspace.say(f"{config.model} version {version.version}, alias {CHALLENGER}")


def registered_version(registered: Artifact, workspace: Workspace) -> ModelVersion:
    """The model version that a register artifact stands for."""
    content = json.loads((workspace.path(registered) / "registration.json").read_text(encoding="utf-8"))
    version = int(workspace.manifest(registered).external["version"])
    return ModelVersion(version=version, **content)


def _take_over(mlflow: Any, version: ModelVersion, workspace: Workspace) -> None:
    """Keep the list of a version's files that was there already, once they are compared with it."""
    with verified_files(version, workspace.store, [REGISTERED]) as folder:
        shutil.copyfile(folder / REGISTERED.sums, workspace.directory / REGISTERED.sums)
    digest = sha256_file(workspace.directory / REGISTERED.sums)
    mlflow.set_model_version_tag(version.model, str(version.version), REGISTERED.tag, digest)


def _log_model(
    mlflow: Any,
    run_id: str,
    name: str,
    task: str,
    workspace: Workspace,
    model: Artifact,
    evaluation: Artifact,
) -> tuple[str, dict[str, str]]:
    """Upload the checkpoint with its card, the code that loads it and what it was judged by.

    Returns the logged model's id and its tag.
    """
    logged = _new_logged_model(mlflow, run_id, name)
    with TemporaryDirectory() as temporary:
        directory = Path(temporary) / "model"
        _save_pyfunc(directory, workspace.path(model) / "model", task, logged, run_id)
        shutil.copyfile(workspace.directory / CARD, directory / "README.md")
        (directory / JUDGED).mkdir()
        for name in ("evaluation.json", PREDICTIONS):
            shutil.copyfile(workspace.path(evaluation) / name, directory / JUDGED / name)
        tags = _upload(mlflow, run_id, logged, directory)
        shutil.copyfile(directory / REGISTERED.sums, workspace.directory / REGISTERED.sums)
    return logged, tags


def _log_adapter(mlflow: Any, run_id: str, name: str, adapter: Path) -> tuple[str, dict[str, str]]:
    """Upload the adapter's folder as it is; the logged model's id and its tag."""
    with TemporaryDirectory() as temporary:
        directory = Path(temporary) / "adapter"
        shutil.copytree(adapter, directory)
        logged = _new_logged_model(mlflow, run_id, name)
        return logged, _upload(mlflow, run_id, logged, directory)


def _upload(mlflow: Any, run_id: str, logged: str, directory: Path) -> dict[str, str]:
    """Upload a folder with the list of its files, whose digest is the tag."""
    from mlflow.entities import LoggedModelOutput

    tags = {REGISTERED.tag: write_sums(directory)}
    mlflow.log_model_artifacts(logged, str(directory))
    mlflow.finalize_logged_model(logged, "READY")
    mlflow.log_outputs(run_id, [LoggedModelOutput(logged, step=0)])
    return tags


def _new_logged_model(mlflow: Any, run_id: str, name: str) -> str:
    experiment_id = mlflow.get_run(run_id).info.experiment_id
    return str(mlflow.create_logged_model(experiment_id, name=name, source_run_id=run_id).model_id)


def _new_version(
    mlflow: Any, run_id: str, name: str, logged: str, digest: str, tags: Mapping[str, str], card: str
) -> ModelVersion:
    """A version of the registered model `name` that consists of the logged model's files.

    When another run has registered the same model meanwhile, it is that run's version.
    """
    from mlflow.exceptions import MlflowException

    try:
        mlflow.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = mlflow.create_model_version(
        name,
        source=f"models:/{logged}",
        run_id=run_id,
        tags={MODEL_TAG: digest, **tags},
        model_id=logged,
        description=card if len(card) <= LONGEST_DESCRIPTION else f"{card[: LONGEST_DESCRIPTION - 2]} …",
    )
    collection = tags.get(COLLECTION_TAG, "")
    own = ModelVersion(model=name, version=int(version.version), digest=digest, collection=collection)
    return keep_oldest(mlflow, name, digest, collection) or own


def _save_pyfunc(directory: Path, checkpoint: Path, task: str, model_id: str, run_id: str) -> None:
    import mlflow
    from mlflow.models import Model

    packages = [*SERVED_PACKAGES, *(("jinja2",) if task in CHATS else ())]
    mlflow.pyfunc.save_model(
        directory,
        python_model=str(SERVED_CODE),
        artifacts={"checkpoint": str(checkpoint)},
        # "+cpu" and the like name a build that is on no index.
        pip_requirements=[f"{package}=={installed(package).partition('+')[0]}" for package in packages],
        mlflow_model=Model(model_id=model_id, run_id=run_id),
    )
