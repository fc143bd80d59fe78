"""The smoke form of every built-in recipe, as a user runs it, in one home."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from flows.recipe import built_in_recipes

CPU_SECONDS = 2 * 60  # a minute of two cores; a clock would also measure whatever runs beside


@pytest.fixture(scope="module")
def home(open_mill: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_mill(tmp_path_factory.mktemp("smoke") / "home") as mill:
        mill("up")
        yield mill


@pytest.mark.parametrize("name", built_in_recipes())
def test_the_smoke_form_runs_from_end_to_end(home: Any, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = home("run", name, "--smoke")
    assert "completed" in output
    run = home.last_run()
    states = {outcome["stage"]: outcome["state"] for outcome in run["outcomes"]}
    assert run["recipe"] == f"{name}-smoke"
    assert states["pretrain"] == "made"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < CPU_SECONDS, output
    key = next(outcome["key"] for outcome in run["outcomes"] if outcome["stage"] == "pretrain")
    made = home.home / "artifacts" / "pretrain" / key[:32]
    samples = json.loads((made / "samples.json").read_text())
    assert samples
    assert all(sample["given"] and sample["original"] for sample in samples)
    if name == "python-docs":
        assert states["deploy"] == "made"
    else:
        assert pulled(home, f"{name}-smoke") >= {"model", "loss_curve.png", "samples.json", "report.html"}


def pulled(home: Any, experiment: str) -> set[str]:
    """What the one finished run of an experiment in MLflow has to pull."""
    api = f"{home.url('MLFLOW')}/api/2.0/mlflow"
    found = httpx.get(f"{api}/experiments/get-by-name", params={"experiment_name": experiment}).json()
    query = {"experiment_ids": [found["experiment"]["experiment_id"]]}
    (run,) = httpx.post(f"{api}/runs/search", json=query).json()["runs"]
    assert run["info"]["status"] == "FINISHED"
    files = httpx.get(f"{api}/artifacts/list", params={"run_id": run["info"]["run_id"]}).json()["files"]
    return {file["path"] for file in files}
