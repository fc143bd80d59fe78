"""Whether a model's name is free in MLflow for what a recipe makes, asked before anything is trained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tasks.contract.errors import RecipeError, ServerError
from tasks.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    ModelVersion,
    by_alias,
    client,
    is_missing,
)

WAY_OUT = "give this one another name (`register: {model: …}` in the recipe)"


def check_name(name: str, task: str, columns: Collection[str]) -> None:
    """Refuse the name of a model of another task, or one that differs from another by case alone.

    Args:
        task, columns: of the recipe's examples; pairs of texts have a column for the second one.

    Raises:
        RecipeError: MLflow has such a model, or an experiment of this name that was deleted.
        ServerError: MLflow does not answer.
    """
    mlflow = client()
    _check_case(mlflow, name)
    experiment = mlflow.get_experiment_by_name(name)
    if experiment and experiment.lifecycle_stage == "deleted":
        raise RecipeError(
            f"register.model {name}: MLflow's experiment {experiment.experiment_id} of this name was "
            f"deleted; restore it there (`mlflow experiments restore`), or {WAY_OUT}"
        )
    ours = _described(task, pairs="second" in columns)
    for alias in (CHAMPION, CHALLENGER):
        version = by_alias(mlflow, name, alias)
        theirs = version and _task_of(mlflow, version)
        if version and theirs and theirs != ours:
            raise RecipeError(
                f"register.model {name}: its {alias}, version {version.version}, was made for the task "
                f"{theirs}, this recipe is for {ours}, and the two can't be compared; {WAY_OUT}"
            )


def _check_case(mlflow: Any, name: str) -> None:
    """Some databases and file systems take such names for one."""
    alike = [model.name for model in mlflow.search_registered_models(f"name ILIKE '{name}'")]
    if other := [found for found in alike if found != name and found.lower() == name.lower()]:
        raise RecipeError(
            f"register.model {name} differs from the registered model {other[0]} by case alone; write it as "
            f"that one, or {WAY_OUT}"
        )


def _task_of(mlflow: Any, version: ModelVersion) -> str:
    """The task that a version was made for, by the parameters of its run; "" where they are gone."""
    from mlflow.exceptions import MlflowException

    try:
        run = mlflow.get_model_version(version.model, str(version.version)).run_id
        params = mlflow.get_run(run).data.params
    except MlflowException as error:
        if is_missing(error):
            return ""
        raise ServerError(f"MLflow can't tell the task of {version.model}: {error.message}") from error
    task = str(params.get("examples.task", ""))
    return task and _described(task, pairs="'second'" in params.get("examples.columns", ""))


def _described(task: str, *, pairs: bool) -> str:
    """Texts and pairs of texts are classified by models that can't take each other's place."""
    return f"{task} of pairs" if pairs and task == "classification" else task
