"""The smoke form of built-in recipes, as a user runs it, in one home.

Two of them run with the other tests, an encoder that ends at an endpoint and an encoder-decoder; `make smoke`
runs the rest. Recipes for public data read small sets of the same formats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.recipe_file import built_in_recipes
from model_code.task_types.task import task_named
from tests.public_sets import write_public_sets

# `python-docs` goes the way of the recipe in test_lifecycle.py.
ALWAYS = ("docs-summaries", "tnews")
# Their smoke form needs more text than a test can write; they run where the data are.
ON_REAL_DATA = ("multi30k", "multi30k-matching", "sst2")
RECIPES = [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.smoke)
    for name in built_in_recipes()
    if name not in ON_REAL_DATA
]


@pytest.fixture(scope="module")
def home(cold_mill: Any) -> Any:
    write_public_sets(cold_mill.folder / "data")
    return cold_mill


@pytest.mark.parametrize("name", RECIPES)
def test_the_smoke_form_runs_from_end_to_end(home: Any, name: str) -> None:
    output = home("run", name, "--smoke")
    assert "completed" in output
    assert "Warning" not in output
    run = home.last_run()
    states = {outcome["stage"]: outcome["state"] for outcome in run["outcomes"]}
    assert run["recipe"] == f"{name}-smoke"
    assert states["pretrain"] == "made"
    samples = json.loads((made_by(home, run, "pretrain") / "samples.json").read_text(encoding="utf-8"))
    assert samples
    assert all(sample["given"] and sample["original"] for sample in samples)
    last = list(states)[-1]
    assert states[last] == "made"
    if last == "pretrain":
        assert pulled(home, f"{name}-smoke") >= {"model", "loss_curve.png", "report.html"}
    else:
        assert last == "deploy"
        assert registered(home, f"{name}-smoke") == {"1": {"challenger", "champion"}}
        evaluation = json.loads(
            (made_by(home, run, "evaluate") / "evaluation.json").read_text(encoding="utf-8")
        )
        known = task_named(evaluation["task"]).METRICS
        assert set(known) <= evaluation["model"].keys()
        assert all(figure in known or figure.rpartition("_")[0] in known for figure in evaluation["model"])


def pulled(home: Any, experiment: str) -> set[str]:
    """What the one finished run of an experiment in MLflow has to pull."""
    mlflow, api = home.client("MLFLOW"), "/api/2.0/mlflow"
    found = mlflow.get(f"{api}/experiments/get-by-name", params={"experiment_name": experiment}).json()
    query = {"experiment_ids": [found["experiment"]["experiment_id"]]}
    (run,) = mlflow.post(f"{api}/runs/search", json=query).json()["runs"]
    assert run["info"]["status"] == "FINISHED"
    files = mlflow.get(f"{api}/artifacts/list", params={"run_id": run["info"]["run_id"]}).json()["files"]
    return {file["path"] for file in files}


def made_by(home: Any, run: dict[str, Any], stage: str) -> Path:
    """The artifact of a stage of a run."""
    key = next(outcome["key"] for outcome in run["outcomes"] if outcome["stage"] == stage)
    return Path(home.home) / "artifacts" / stage / key[:32]


def registered(home: Any, model: str) -> dict[str, set[str]]:
    """The versions of a registered model, and their aliases."""
    mlflow, api = home.client("MLFLOW"), "/api/2.0/mlflow"
    query = {"filter": f"name='{model}'"}
    found = mlflow.get(f"{api}/model-versions/search", params=query).raise_for_status().json()
    aliases: dict[str, set[str]] = {version["version"]: set() for version in found["model_versions"]}
    model_found = mlflow.get(f"{api}/registered-models/get", params={"name": model}).json()[
        "registered_model"
    ]
    for alias in model_found.get("aliases", []):
        aliases[alias["version"]].add(alias["alias"])
    return aliases
