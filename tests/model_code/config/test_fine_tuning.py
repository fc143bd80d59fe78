"""The settings of a training refuse what can't be, the same for a recipe and for a trainer's job."""

from typing import Any

import pytest
from pydantic import ValidationError

from model_code.config.fine_tuning import FineTuningConfig, FineTuningRun
from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import settings_from
from model_code.errors import TrainingError


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"distill": {"teacher": "large", "temperature": 0.0}}, "distill.temperature"),
        ({"distill": {"teacher": "large", "weight": 1.5}}, "distill.weight"),
        ({"distill": {"teacher": ""}}, "distill.teacher"),
        ({"privacy": {"epsilon": 0}}, "privacy.epsilon"),
        ({"privacy": {"epsilon": 8, "clip": 0}}, "privacy.clip"),
        ({"privacy": {"epsilon": 8, "delta": -1}}, "privacy.delta"),
        ({"lora": {"quantize": "int3"}}, "lora.quantize"),
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"epochs": True}, "epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"speed": 9}, "speed"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as error:
        FineTuningConfig.model_validate(values)
    assert [".".join(map(str, one["loc"])) for one in error.value.errors()] == [place]
    with pytest.raises(TrainingError, match=f"^{place}: "):
        settings_from(FineTuningRun, {"task": "classification", **values})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"start_from": "folder", "muon_learning_rate": 0.01},
            "muon_learning_rate changes nothing with opti",
        ),
        ({"lora": {}, "freeze": 0}, "lora leaves all of the model's own weights as they are"),
        ({"r_drop": 5, "distill": {"teacher": "large"}}, "r_drop and distill each replace the loss"),
        ({"privacy": {"epsilon": 8}, "class_weights": True}, "class_weights, which counts labels"),
        ({"privacy": {"epsilon": 8}, "distill": {"teacher": "large"}}, "distill, which has a teacher"),
        ({"privacy": {"epsilon": 8}, "optimizer": "muon"}, "optimizer muon, which makes the noise"),
    ],
)
def test_what_does_not_go_together_is_refused_by_both(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FineTuningConfig.model_validate(values)
    with pytest.raises(TrainingError, match=said):
        settings_from(FineTuningRun, {"task": "classification", **values})


def test_a_job_names_its_task() -> None:
    with pytest.raises(TrainingError, match=r"^task: Field required"):
        settings_from(FineTuningRun, {})
    assert settings_from(FineTuningRun, {"task": "matching"}).width == 128


def test_how_a_training_is_carried_out_is_no_part_of_its_name() -> None:
    how = {
        "start_from",
        "micro_batch",
        "checkpoint_every",
        "keep_every",
        "activation_checkpointing",
        "parallel",
        "devices",
    }
    assert PretrainConfig.outside_key() == how
    usual = PretrainConfig().what_counts()
    other = PretrainConfig(micro_batch=4, devices=2, parallel="ddp", checkpoint_every=7).what_counts()
    assert usual == other
    assert not how & usual.keys()


def test_what_is_left_open_follows_from_what_a_training_starts_from() -> None:
    own = FineTuningConfig()
    assert (own.learning_rate, own.muon_learning_rate, own.head_dropout) == (0.001, 0.006, 0.1)
    assert own.settled(86_000_000) == own
    public = FineTuningConfig(start_from="folder")
    assert (public.learning_rate, public.head_dropout) == (None, None)
    rates = [public.settled(weights).learning_rate for weights in (1_000, 86_000_000, 4 * 86_000_000)]
    assert rates == [1e-3, 5e-5, 2.5e-5]
    assert public.settled(86_000_000).muon_learning_rate == pytest.approx(2.5e-4)
    adapters = FineTuningConfig.model_validate({"start_from": "folder", "lora": {}})
    assert adapters.settled(86_000_000).learning_rate == pytest.approx(5e-4)
    asked = FineTuningConfig(
        start_from="folder", learning_rate=0.01, muon_learning_rate=0.02, optimizer="muon"
    )
    assert asked.settled(86_000_000) == asked
