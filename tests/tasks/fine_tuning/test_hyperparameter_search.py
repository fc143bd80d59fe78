"""Search: reproducible, not disturbed by a kill, and honest about trials that were ended or failed.

The trainer is a small one whose score is a known function of its values; like the real one it goes on from a
checkpoint, says the epochs before that again, and ends on SIGTERM. It notes every epoch that it trains.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
from pydantic import ValidationError

from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.contract.workspace import Workspace
from tasks.fine_tuning.hyperparameter_search import SearchConfig, search
from tasks.fine_tuning.trials import Trainings

ROOT = Path(__file__).parents[3]
TRAINER = """
import json, math, pathlib, sys, time
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
values, scratch = job["config"], pathlib.Path(job["scratch"])
checkpoint, log = scratch / "epoch", pathlib.Path(job["log"])

def say(**event):
    print(json.dumps(event), flush=True)

if values["learning_rate"] > values["diverges_above"]:
    say(event="error", message=f"the loss is not a number at rate {values['learning_rate']}")
    sys.exit(1)
quality = -abs(math.log10(values["learning_rate"]) + 3) - values["batch_size"] / 1000
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
for epoch in range(1, values["epochs"] + 1):
    if epoch > done:
        time.sleep(values["seconds"])
        with log.open("a") as lines:
            print(f"{values['learning_rate']:.6g} {epoch}", file=lines)
    say(event="evaluation", step=10 * epoch, epoch=epoch, score=quality + epoch / 100)
    (scratch / "new").write_text(str(epoch))
    (scratch / "new").replace(checkpoint)
(pathlib.Path(job["output"]) / "model").write_text(repr(quality))
say(event="done", metrics={"score": quality + values["epochs"] / 100})
"""
SEARCH = """
import json, sys
from pathlib import Path
from tests.tasks.fine_tuning.test_hyperparameter_search import run
run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
"""
OWN = {"learning_rate": 0.05, "batch_size": 32, "epochs": 3, "diverges_above": 1.0, "seconds": 0.03}
SPACE: dict[str, Any] = {"trials": 9, "learning_rate": [1e-5, 0.1], "batch_size": [16, 32]}


def run(home: Path, experiment: str = "", **own: Any) -> tuple[dict[str, Any], Workspace]:
    """Search in a home of its own; returns the best values, and the workspace with what was written."""
    (home / "trainer.py").write_text(TRAINER, encoding="utf-8")
    searched = {**SPACE, "seeds": None}
    config = SearchConfig(**{name: own.pop(name, value) for name, value in searched.items()})
    artifact = home / "artifact"
    artifact.mkdir(exist_ok=True)
    workspace = Workspace("fine_tune", "k" * 64, Store(home), artifact)
    trainings = Trainings("trainer", {"log": home / "log"}, OWN | own, workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(home))
        return search(config, trainings, workspace, experiment), workspace


def found(home: Path) -> dict[str, Any]:
    """What was written about the search, without its seconds."""
    written: dict[str, Any] = json.loads((home / "artifact" / "search.json").read_text(encoding="utf-8"))
    for trial in written["trials"]:
        assert trial.pop("seconds") >= 0
    return written


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search that ran in one go."""
    home = tmp_path_factory.mktemp("undisturbed")
    run(home)
    return home


def test_the_best_values_beat_the_recipes_own_which_are_tried_first(undisturbed: Path) -> None:
    written = found(undisturbed)
    first, best = written["trials"][0], written["trials"][written["best"] - 1]
    assert len(written["trials"]) == 9
    assert first["values"] == {"learning_rate": 0.05, "batch_size": 32}
    assert first["score"] < best["score"] == max(trial["score"] for trial in written["trials"])
    assert best["values"] == written["values"]
    assert sum(written["importances"].values()) == pytest.approx(1)
    assert matplotlib.image.imread(undisturbed / "artifact" / "search.png").ndim == 3


def test_a_trial_below_the_median_is_ended_early(undisturbed: Path) -> None:
    written = found(undisturbed)
    pruned = [trial for trial in written["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(len(trial["epochs"]) < OWN["epochs"] for trial in pruned)
    trained = (undisturbed / "log").read_text(encoding="utf-8").splitlines()
    assert len(trained) < 9 * OWN["epochs"]


def test_the_best_model_is_not_trained_again(undisturbed: Path) -> None:
    best = found(undisturbed)["values"]
    before = (undisturbed / "log").read_text(encoding="utf-8")
    workspace = Workspace("fine_tune", "k" * 64, Store(undisturbed), undisturbed / "artifact")
    again = Trainings("trainer", {"log": undisturbed / "log"}, OWN, workspace).run(best, "training")
    assert (undisturbed / "log").read_text(encoding="utf-8") == before
    assert (again.output / "model").exists()
    left = list((workspace.scratch / "trainings").iterdir())
    assert left == [again.output.parent]


def test_a_killed_search_ends_as_if_it_had_not_been(undisturbed: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", SEARCH, str(tmp_path), "{}"]
    for trained in (4, 14):  # in the second trial, and in a later one
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        while not log.exists() or len(log.read_text(encoding="utf-8").splitlines()) < trained:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        journal = next(tmp_path.glob("scratch/*/search.journal"))
        with journal.open("a", encoding="utf-8") as lines:
            lines.write('{"op_code": 5, "torn')  # as by a disk that was full
    run(tmp_path)
    assert found(tmp_path) == found(undisturbed)
    epochs = log.read_text(encoding="utf-8").splitlines()
    assert len(epochs) - len(set(epochs)) <= 2  # one that was under way is repeated after each kill


def test_a_trial_that_fails_is_noted_and_the_next_one_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, _ = run(tmp_path, trials=5, diverges_above=0.055, learning_rate=[0.03, 0.1])
    failed = [trial for trial in found(tmp_path)["trials"] if trial["state"] == "failed"]
    assert failed
    assert all("the loss is not a number" in trial["error"] and trial["score"] is None for trial in failed)
    assert best["learning_rate"] <= 0.055
    assert "failed: fine_tune: the loss is not a number" in capsys.readouterr().out


def test_when_the_recipes_own_values_fail_so_does_the_search(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"^fine_tune: the loss is not a number at rate 0.05$"):
        run(tmp_path, diverges_above=0.01)


def test_each_trial_is_a_run_below_that_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    mlflow = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("sentiment", artifact_location=(tmp_path / "files").as_uri())
    monkeypatch.setattr("tasks.tracking.live_figures.client", lambda: mlflow)
    monkeypatch.setattr("tasks.tracking.live_figures.SECONDS_BETWEEN_REQUESTS", 0.0)
    for _ in range(2):  # whoever finds the search done adds nothing
        run(tmp_path, "sentiment", trials=2)
    experiment = mlflow.get_experiment_by_name("sentiment")
    assert experiment is not None
    runs = {run.info.run_name: run for run in mlflow.search_runs([experiment.experiment_id])}
    parent = runs.pop("search-kkkkkkkk")
    assert sorted(runs) == ["trial-1-kkkkkkkk", "trial-2-kkkkkkkk"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert [file.path for file in mlflow.list_artifacts(parent.info.run_id)] == ["search.json", "search.png"]
    trials = mlflow.get_metric_history(parent.info.run_id, "score")
    assert [point.step for point in trials] == [1, 2]
    first, trial = runs["trial-1-kkkkkkkk"], found(tmp_path)["trials"][0]
    assert first.data.params == {f"fine_tune.{name}": str(value) for name, value in trial["values"].items()}
    scores = mlflow.get_metric_history(first.info.run_id, "score")
    assert [(point.step, point.value) for point in scores] == [
        (int(k), v) for k, v in trial["epochs"].items()
    ]


def test_a_seed_is_searched_under_its_name_in_fine_tune(tmp_path: Path) -> None:
    best, _ = run(tmp_path, seed=4, seconds=0, trials=6, seeds=[4, 7, 9])
    tried = [trial["values"]["seed"] for trial in found(tmp_path)["trials"]]
    assert tried[0] == 4
    assert len(set(tried)) > 1
    assert set(tried) <= {4, 7, 9}
    assert best["seed"] in tried


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learning_rate": [0.1, 0.01]}, "give the lowest value, then a higher one"),
        ({"learning_rate": [0, 0.01]}, "greater than 0"),
        ({"batch_size": [16]}, "give two values or more, each once"),
        ({"seeds": [1, 1]}, "give two values or more, each once"),
        ({"epochs": [1, 2.5]}, "valid integer"),
        ({"epochs": [1, 2, 3]}, "at most 2 items"),
        ({"momentum": [0.1, 0.9]}, "Extra inputs are not permitted"),
        ({"trials": 1, "epochs": [1, 2]}, "greater than or equal to 2"),
    ],
)
def test_what_can_not_be_searched_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SearchConfig(**values)
