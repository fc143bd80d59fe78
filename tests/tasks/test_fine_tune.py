"""Fine-tuning as a stage: which models end up in the artifact, and what is said about them.

The trainer's figures are known beforehand. The real one is tried in `tests/model_code/test_finetune.py`, and
with the stage in `tests/test_lifecycle.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.errors import StageError
from tasks.fine_tune import FineTuneConfig, fine_tune
from tasks.search import SearchConfig
from tasks.stage import Run
from tests.published import publish

TRAINER = """
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
values, output, data = job["config"], pathlib.Path(job["output"]), pathlib.Path(job["data"])
home = pathlib.Path(__file__).parent
with (home / "log").open("a") as log:
    print(values["seed"], values["epochs"], values["task"], file=log)
if values["seed"] == 5 and (home / "broken").exists():
    raise SystemExit("no memory left")
loss = {3: 0.25, 4: 0.15, 5: 0.2}[values["seed"]] + abs(values["epochs"] - 4) / 100
metrics = {"loss": loss, "score": -loss, "selection": "loss", "best_epoch": 1, "epochs": values["epochs"]}
print(json.dumps({"event": "evaluation", "epoch": 1, "score": -loss}), flush=True)
(output / "model").mkdir()
(output / "model" / "config.json").write_text(json.dumps(values["seed"]))
(output / "metrics.json").write_text(json.dumps(metrics))
print(json.dumps({"event": "done", "metrics": metrics | {"seconds": 1.5}}), flush=True)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with examples and a pretrained model, and a trainer that children find."""
    (tmp_path / "trainer.py").write_text(TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setattr("tasks.fine_tune.TRAINER", "trainer")
    return tmp_path


def train(home: Path, **config: Any) -> Path:
    """The folder of the artifact that the stage makes with this config."""
    run, given = Run(home), []
    for stage in ("examples", "pretrain"):
        key = stage[0] * 64
        directory = run.store.begin(stage, key)
        (directory / "report.json").write_text('{"task": "classification"}')
        given.append(publish(run.store, directory, stage, key))
    return run.store.path(fine_tune.fn(*given, FineTuneConfig(seed=3, **config), run))


def trained(home: Path) -> list[str]:
    return (home / "log").read_text().splitlines()


def test_of_several_seeds_the_best_is_the_model_and_all_are_kept(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = train(home, seeds=3, epochs=4)
    assert json.loads((made / "model" / "config.json").read_text()) == 4
    listed = json.loads((made / "seeds.json").read_text())
    assert [(row["seed"], row["score"]) for row in listed] == [(3, -0.25), (4, -0.15), (5, -0.2)]
    assert [json.loads((made / row["model"] / "config.json").read_text()) for row in listed] == [3, 4, 5]
    metrics = json.loads((made / "metrics.json").read_text())
    losses = [0.25, 0.15, 0.2]
    assert metrics["loss"] == 0.15
    assert metrics["seeds"] == {"loss": {"mean": mean(losses), "standard_deviation": stdev(losses)}}
    assert "validation loss of 3 seeds: 0.200 ± 0.050" in capsys.readouterr().out


def test_seeds_that_are_done_are_not_trained_again(home: Path) -> None:
    (home / "broken").touch()
    with pytest.raises(StageError, match="ended with code 1"):
        train(home, seeds=3, epochs=4)
    assert trained(home) == ["3 4 classification", "4 4 classification", "5 4 classification"]
    (home / "broken").unlink()
    train(home, seeds=3, epochs=4)
    assert trained(home)[3:] == ["5 4 classification"]


def test_searched_values_make_the_model(home: Path) -> None:
    made = train(home, epochs=3, search={"trials": 6, "epochs": [2, 7]})
    found = json.loads((made / "search.json").read_text())
    assert found["trials"][0]["values"] == {"epochs": 3}
    assert found["values"] == {"epochs": 4}
    assert json.loads((made / "metrics.json").read_text())["epochs"] == 4
    assert len(set(trained(home))) == len(trained(home)) < len(found["trials"])  # none was trained twice
    assert not (made / "seeds.json").exists()


def test_whatever_can_be_searched_is_a_value_of_fine_tune() -> None:
    searched = SearchConfig.model_fields.keys() - {"trials", "seed"}
    assert searched <= FineTuneConfig.model_fields.keys()
    with pytest.raises(ValidationError, match=r"search.muon_learning_rate changes nothing with optimizer ad"):
        FineTuneConfig(search={"muon_learning_rate": [0.001, 0.01]})
