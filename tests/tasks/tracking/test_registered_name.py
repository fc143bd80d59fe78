"""A name that can't be taken is refused before anything is trained, with what is in the way."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.contract.errors import RecipeError, ServerError
from tasks.tracking.registered_name import WAY_OUT, check_name
from tasks.tracking.registry import CHALLENGER, CHAMPION


def register(mlflow: Any, model: str, alias: str, **params: str) -> str:
    """A version with an alias, made by a run with these parameters of its examples; the run's id."""
    found = mlflow.get_experiment_by_name(model)
    run = mlflow.create_run(found.experiment_id if found else mlflow.create_experiment(model)).info.run_id
    for name, value in params.items():
        mlflow.log_param(run, f"examples.{name}", value)
    if not mlflow.search_registered_models(f"name='{model}'"):
        mlflow.create_registered_model(model)
    version = mlflow.create_model_version(model, f"runs:/{run}/model", run_id=run).version
    mlflow.set_registered_model_alias(model, alias, str(version))
    return str(run)


def refused(name: str, task: str = "matching", columns: tuple[str, ...] = ()) -> str:
    with pytest.raises(RecipeError) as error:
        check_name(name, task, columns)
    return str(error.value)


def test_without_a_server_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9 does not answer"):
        check_name("any", "matching", ())


def test_a_deleted_experiment_is_in_the_way(mlflow: Any, model: str) -> None:
    number = mlflow.create_experiment(model)
    mlflow.delete_experiment(number)
    assert refused(model) == (
        f"register.model {model}: MLflow's experiment {number} of this name was deleted; restore it there "
        f"(`mlflow experiments restore`), or {WAY_OUT}"
    )


def test_a_name_that_differs_by_case_alone_is_in_the_way(mlflow: Any, model: str) -> None:
    mlflow.create_registered_model(model)
    assert refused(model.upper()) == (
        f"register.model {model.upper()} differs from the registered model {model} by case alone; write it "
        f"as that one, or {WAY_OUT}"
    )
    check_name(model, "matching", ())
    check_name(f"{model}s", "matching", ())
    mlflow.create_registered_model("like-anyone")
    check_name("LIKE_anyone", "matching", ())  # `_` is any character for a database


@pytest.mark.parametrize("alias", [CHAMPION, CHALLENGER])
def test_a_model_of_another_task_is_in_the_way(mlflow: Any, model: str, alias: str) -> None:
    register(mlflow, model, alias, task="classification", columns="{'text': 'text'}")
    assert refused(model) == (
        f"register.model {model}: its {alias}, version 1, was made for the task classification, this recipe "
        f"is for matching, and the two can't be compared; {WAY_OUT}"
    )
    assert "this recipe is for classification of pairs" in refused(
        model, "classification", ("text", "second")
    )
    check_name(model, "classification", ("text",))


def test_a_model_of_pairs_takes_no_single_texts(mlflow: Any, model: str) -> None:
    register(mlflow, model, CHAMPION, task="classification", columns="{'text': 'a', 'second': 'b'}")
    assert "was made for the task classification of pairs" in refused(model, "classification", ("text",))
    check_name(model, "classification", ("text", "second"))


def test_a_version_whose_run_is_gone_or_says_nothing_is_in_nobodys_way(mlflow: Any, model: str) -> None:
    register(mlflow, model, CHAMPION)
    check_name(model, "matching", ())
    mlflow.delete_run(register(mlflow, model, CHALLENGER, task="classification"))
    assert "its challenger, version 2" in refused(model)  # a deleted run can still be read
