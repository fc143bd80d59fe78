"""What goes together in a fine-tuning, said before anything starts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

import tasks.fine_tuning.trials
from tasks.contract.errors import RecipeError
from tasks.fine_tune import FineTuneConfig, teacher_in
from tasks.fine_tuning.checks import check_against_task, check_label_metrics, check_start_options
from tasks.fine_tuning.trials import Trainings


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": 3, "search": {"seeds": [1, 2]}}, "search.seeds chooses one seed, seeds compares several"),
        ({"r_drop": 5, "distill": {"teacher": "large"}}, "r_drop and distill each replace the loss"),
        ({"privacy": {"epsilon": 8}, "class_weights": True}, "privacy does not hold with class_weights"),
        ({"privacy": {"epsilon": 8}, "seeds": 3}, "privacy does not hold with seeds"),
        ({"privacy": {"epsilon": 8}, "optimizer": "muon"}, "privacy does not hold with optimizer muon"),
        (
            {"search": {"muon_learning_rate": [0.001, 0.01]}},
            "search.muon_learning_rate changes nothing with optimizer adamw",
        ),
    ],
)
def test_what_does_not_go_together_is_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FineTuneConfig.model_validate(values)


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({}, 0.001),
        ({"start_from": "minilm"}, 1.4e-4),
        ({"start_from": "minilm", "lora": {}}, 1e-3),
        ({"start_from": "minilm", "learning_rate": 1e-5, "batch_size": 256, "epochs": 9}, 1e-5),
    ],
)
def test_a_search_that_names_nothing_searches_what_is_usual(values: dict[str, Any], rate: float) -> None:
    """Around the rate that there would be without it, and with all that the recipe sets."""
    config = FineTuneConfig.model_validate(values | {"search": {"trials": 5}})
    assert config.search
    space = config.search.space
    assert (config.search.trials, space.keys()) == (5, {"learning_rate", "epochs", "batch_size"})
    assert config.settled(10_600_000).learning_rate == pytest.approx(rate, rel=0.02)
    assert space["learning_rate"][0] <= rate <= space["learning_rate"][1]
    assert space["epochs"][0] <= config.epochs <= space["epochs"][1]
    assert config.batch_size in space["batch_size"]
    assert FineTuneConfig.model_validate(config.model_dump()) == config
    own = FineTuneConfig.model_validate(values | {"search": {"epochs": [1, 2]}})
    assert own.search
    assert own.search.space.keys() == {"epochs"}


def test_another_teacher_in_the_same_folder_is_another_input(tmp_path: Path) -> None:
    config = FineTuneConfig(distill={"teacher": str(tmp_path)})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"no task\.json in it; name the folder `model`"):
        teacher_in(config)
    (tmp_path / "task.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = teacher_in(config)
    assert before == teacher_in(config)
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert before != teacher_in(config)
    assert teacher_in(FineTuneConfig()) is None


@pytest.mark.parametrize(
    ("task", "family", "values", "demanded", "said"),
    [
        (
            "instructions",
            "bert",
            {},
            [],
            "fine_tune: the task instructions is for the families gpt2, llama, pretrain.family is bert",
        ),
        ("seq2seq", "t5", {"options": {"beam": 4}}, [], r"fine_tune.options: .*'beam'"),
        ("seq2seq", "t5", {"options": {"beams": 0}}, [], r"fine_tune.options: options.beams is 0"),
        (
            "matching",
            "bert",
            {"class_weights": True},
            [],
            "class_weights is for tasks with labels, not matching",
        ),
        (
            "matching",
            "bert",
            {"privacy": {"epsilon": 8}},
            [],
            "task matching compares examples with each other, so that what one example adds can't be bounded",
        ),
        (
            "preference",
            "llama",
            {"privacy": {"epsilon": 8}},
            [],
            "task preference compares two replies, and what is bounded is what a text does alone, so that",
        ),
        (
            "classification",
            "bert",
            {},
            ["acuracy"],
            "has no metric 'acuracy'; evaluate.at_least may name accuracy",
        ),
        ("matching", "bert", {"r_drop": 5.0}, [], "r_drop compares logits, and the task matching has none"),
        ("instructions", "llama", {"label_smoothing": 0.1}, [], "label_smoothing is not for the task instr"),
        ("instructions", "llama", {"options": {"max_reply": 128}}, [], "max_reply 128 leaves no room for"),
        ("instructions", "gpt2", {"lora": {"quantize": "nf4"}}, [], "nf4 is for linear layers"),
        ("seq2seq", "marian", {"options": {"max_target_length": 500}}, [], "more than the 256 positions"),
        (
            "seq2seq",
            "t5",
            {"options": {"beams": True}},
            [],
            r"fine_tune.options: beams is True; give a value",
        ),
        ("seq2seq", "t5", {"options": {"dropout": 1.5}}, [], "options.dropout is 1.5; it has to be below 1"),
        ("question_answering", "bert", {"options": {"no_answer": "yes"}}, [], "no_answer is 'yes'; give a"),
        (
            "classification",
            None,
            {"distill": {"teacher": "nowhere"}},
            [],
            "distill.teacher nowhere: no task.json",
        ),
    ],
)
def test_what_the_task_can_not_do_is_said_before_anything_starts(
    task: str, family: str | None, values: dict[str, Any], demanded: list[str], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        check_against_task(task, family, FineTuneConfig.model_validate(values), demanded, 256)


def test_what_the_task_can_do_is_not_refused() -> None:
    config = FineTuneConfig.model_validate({"class_weights": True, "privacy": None})
    check_against_task("token_classification", "modernbert", config, ["f1", "f1_LOC"])


def test_a_demand_on_a_label_that_no_example_has_is_refused() -> None:
    labels = ["B-LOC", "I-LOC", "O"]
    check_label_metrics("token_classification", ["f1", "f1_LOC"], labels)
    with pytest.raises(
        RecipeError, match=r"at_least\.f1_PER: no example has the label 'PER'; they have B-LOC"
    ):
        check_label_metrics("token_classification", ["f1_PER"], labels)


def test_a_module_that_is_not_trained_here_is_refused_before_anything_starts(tmp_path: Path) -> None:
    kinds = ("Transformer", "Pooling", "Dense")
    modules = [
        {"idx": n, "path": kind, "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(kinds)
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"fine_tune\.start_from: .* has a Dense \(Dense\) as module 3"):
        check_start_options("matching", tmp_path)
    check_start_options("classification", tmp_path)
    check_start_options("matching", None)


def test_a_finished_training_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(module: str, job: Any, *given: Any) -> Any:
        return {"metrics": {"score": object() if len(calls) < 2 else 1.0}}

    calls: list[int] = []
    workspace: Any = SimpleNamespace(scratch=tmp_path)
    monkeypatch.setattr(
        tasks.fine_tuning.trials, "run_child", lambda *given: (calls.append(1), trained(*given))[1]
    )
    with pytest.raises(TypeError, match="not JSON serializable"):  # dies while it writes
        Trainings("module", {}, {"epochs": 1}, workspace).run({}, "training")
    assert Trainings("module", {}, {"epochs": 1}, workspace).run({}, "training").score == 1.0
