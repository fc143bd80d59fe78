"""The loop under trouble and interruptions, on real pretraining runs."""

import io
import json
import math
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from model_code import pretraining as program
from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.errors import TrainingError
from model_code.job import Job, Reporter
from model_code.objectives.objective import Batch, Objective, Score
from model_code.training.schedule import warmup_stable_decay
from tests.model_code.conftest import pretrain_job, run_pretrain, written_history


@dataclass(frozen=True)
class Poisoned:
    """An objective whose loss is multiplied by `factor` at some places in the data."""

    honest: Objective
    places: Collection[int]
    factor: float

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        made = self.honest.batch(rows, noise)
        factor = torch.tensor(self.factor if noise.step in self.places else 1.0)
        return Batch({**made.tensors, "factor": factor}, made.targets, made.tokens)

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        scores = self.honest.scores(model, tensors)
        return {name: score._replace(loss=score.loss * tensors["factor"]) for name, score in scores.items()}


class Recorder(Reporter):
    """Keeps what is reported, and loses power when the loop reports step `until`."""

    def __init__(self, until: int = -1) -> None:
        super().__init__(io.StringIO())
        self.events: list[dict[str, Any]] = []
        self.until = until

    def event(self, kind: str, **values: Any) -> None:
        self.events.append({"event": kind, **values})
        if values.get("step") == self.until:
            raise KeyboardInterrupt

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]


@pytest.fixture
def every_step_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_code.training.loop.SECONDS_BETWEEN_EVENTS", 0.0)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch, every_step_reported: None) -> Any:
    """Make pretraining's objective a poisoned one."""
    honest = program.objective_of

    def set_poison(places: Collection[int], factor: float = math.nan) -> None:
        monkeypatch.setattr(program, "objective_of", lambda *args: Poisoned(honest(*args), places, factor))

    return set_poison


def job(corpus: Path, home: Path, **config: Any) -> dict[str, Any]:
    return pretrain_job(corpus, home, **{"optimizer": "adamw"} | config)  # quicker than Muon at this size


def run(raw: dict[str, Any], until: int = -1) -> Recorder:
    recorder, paths = Recorder(until), {name: Path(value) for name, value in raw.items() if name != "config"}
    program.pretrain(Job(paths, raw["config"]), recorder)
    return recorder


def outputs(home: Path) -> dict[str, bytes]:
    names = ("model/model.safetensors", "metrics.json", "history.jsonl")
    return {name: (home / "output" / name).read_bytes() for name in names}


def test_a_step_that_is_no_number_is_passed_over(corpus: Path, tmp_path: Path, poison: Any) -> None:
    poison({14})
    recorder = run(job(corpus, tmp_path, steps=20))
    rows = written_history(tmp_path / "output")
    assert [row["step"] for row in rows] == list(range(1, 21))
    assert rows[14] == {
        "step": 15,
        "trouble": "the loss is nan",
        "action": "the step is passed over",
    }
    assert [event["message"] for event in recorder.of("trouble")] == [
        "step 15: the loss is nan; the step is passed over"
    ]
    assert all(math.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_a_leap_of_the_loss_is_passed_over(corpus: Path, tmp_path: Path, poison: Any) -> None:
    poison({90}, factor=3.0)
    recorder = run(job(corpus, tmp_path, steps=100))
    (event,) = recorder.of("trouble")
    assert event["step"] == 91
    assert event["trouble"].startswith("the loss leaps to")


def test_five_in_a_row_lead_back_and_past_the_bad_data(corpus: Path, tmp_path: Path, poison: Any) -> None:
    poison(range(33, 38))
    raw = job(corpus, tmp_path / "whole", steps=60)
    recorder = run(raw)
    last = recorder.of("trouble")[-1]
    assert last["action"] == (
        "5 steps in a row were in trouble: back to step 30, "
        "on with other data and 0.5 times the learning rate"
    )
    healthy = [row["step"] for row in written_history(tmp_path / "whole/output") if "loss" in row]
    assert healthy == list(range(1, 61))
    reported = {event["step"]: event["learning_rate"] for event in recorder.of("progress")}
    for step, share in ((30, 1.0), (31, 0.5)):
        usual = 2e-3 * warmup_stable_decay(step - 1, 60, warmup=0.05, decay=0.5)
        assert reported[step] == pytest.approx(share * usual)

    # Power is lost between going back and the next checkpoint: the run finds its way again.
    torn = job(corpus, tmp_path / "torn", steps=60)
    for until in (36, 39, 45):
        with pytest.raises(KeyboardInterrupt):
            run(torn, until)
    run(torn)
    assert outputs(tmp_path / "torn") == outputs(tmp_path / "whole")


def test_where_going_back_has_a_price_the_run_stops(
    corpus: Path, tmp_path: Path, poison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(range(33, 38))
    monkeypatch.setattr(program, "Plan", partial(program.Plan, goes_back=False))
    with pytest.raises(TrainingError, match="the loss is nan at step 38 of 60; lower the learning rate"):
        run(job(corpus, tmp_path, steps=60))


def test_a_run_that_stays_broken_stops_and_names_its_checkpoint(
    corpus: Path, tmp_path: Path, poison: Any
) -> None:
    poison(range(23, 1000))
    with pytest.raises(TrainingError) as error:
        run(job(corpus, tmp_path, steps=60))
    assert str(error.value) == (
        "the loss is nan at step 25 of 60 after going back 3 times; lower the learning rate or lengthen the "
        f"warm-up and start again (the last healthy checkpoint, of step 20, is in {tmp_path / 'scratch'})"
    )
    assert not (tmp_path / "output").exists()


def test_a_first_step_that_is_no_number_is_one_error(corpus: Path, tmp_path: Path, poison: Any) -> None:
    poison({0})
    with pytest.raises(TrainingError, match=r"^the loss is nan at step 1 of 20; lower .*no checkpoint"):
        run(job(corpus, tmp_path, steps=20))


def test_without_a_checkpoint_there_is_no_way_back(corpus: Path, tmp_path: Path, poison: Any) -> None:
    poison(range(3, 8))
    with pytest.raises(
        TrainingError, match=r"at step 8 of 20, the 5th step in a row.*no checkpoint to go back"
    ):
        run(job(corpus, tmp_path, steps=20))


@pytest.fixture(scope="module")
def corpus_of_gpt2(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus with a tokenizer that has an end of text."""
    home = tmp_path_factory.mktemp("gpt2") / "corpus"
    shutil.copytree(corpus, home)
    (home / "tokenizer" / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "[SEP]"}), encoding="utf-8"
    )
    return home


EVERYTHING: dict[str, Any] = {
    "family": "gpt2",
    "steps": 18,
    "schedule": "cosine",
    "final_fraction": 0.1,
    "ema": 0.9,
    "dropout": 0.1,
    "z_loss": 1e-4,
    "micro_batch": 3,
    "evaluate_every": 7,
}


def test_power_lost_at_any_step_changes_nothing(
    corpus_of_gpt2: Path, tmp_path: Path, every_step_reported: None
) -> None:
    whole, torn = (job(corpus_of_gpt2, tmp_path / name, **EVERYTHING) for name in ("whole", "torn"))
    run(whole)
    for until in (5, 11, 17):
        with pytest.raises(KeyboardInterrupt):
            run(torn, until)
    run(torn)
    assert outputs(tmp_path / "torn") == outputs(tmp_path / "whole")
    validated = {
        r["step"]: r["validation"] for r in written_history(tmp_path / "torn/output") if "validation" in r
    }
    assert list(validated) == [7, 14, 18]


def test_the_best_checkpoint_is_kept(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7])
    monkeypatch.setattr(program, "evaluate", lambda *args: {"loss": next(losses), "accuracy": 0.5})
    run_pretrain(job(corpus, tmp_path, steps=20, evaluate_every=4, checkpoint_every=5))
    kept = sorted(path.name for path in (tmp_path / "scratch").glob("step-*"))
    assert kept == ["step-00000008", "step-00000015", "step-00000020"]


def test_a_step_in_trouble_is_never_the_best(
    corpus: Path, tmp_path: Path, poison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7])  # the lowest one at step 8, which is passed over
    monkeypatch.setattr(program, "evaluate", lambda *args: {"loss": next(losses), "accuracy": 0.5})
    poison({7})
    run(job(corpus, tmp_path, steps=20, evaluate_every=4, checkpoint_every=5))
    kept = sorted(path.name for path in (tmp_path / "scratch").glob("step-*"))
    assert kept == ["step-00000012", "step-00000015", "step-00000020"]


def test_a_run_goes_on_with_other_micro_batches(
    corpus: Path, tmp_path: Path, every_step_reported: None
) -> None:
    raw = job(corpus, tmp_path, steps=12, checkpoint_every=4)
    with pytest.raises(KeyboardInterrupt):
        run(raw, until=10)
    recorder = run(raw | {"config": raw["config"] | {"micro_batch": 2, "checkpoint_every": 3}})
    assert [(event["step"], event["total"]) for event in recorder.of("resumed")] == [(8, 12)]
    assert [event["step"] for event in recorder.of("progress")] == [9, 10, 11, 12]


def test_more_tokens_than_positions_are_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="sequence_length 65 is more than max_positions 64"):
        run_pretrain(job(corpus, tmp_path, sequence_length=65))


@pytest.mark.parametrize(("key", "value"), [("optimizer", "sgd"), ("schedule", "step"), ("family", "lstm")])
def test_unknown_names_are_refused(corpus: Path, tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(TrainingError, match=f"{key}: Input should be '"):
        run_pretrain(job(corpus, tmp_path, **{key: value}))
