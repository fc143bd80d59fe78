import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune, label_weights
from model_code.task_types import classification
from model_code.task_types.task import task_named
from tests.model_code.conftest import fine_tune_job, quiet_reporter


def test_a_keyword_task_is_learned_from_text(classifier: Path) -> None:
    metrics = json.loads((classifier.parent / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["score"] == metrics["f1_macro"] > 0.9
    config = json.loads((classifier / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "bara", "1": "mote", "2": "sozo"}
    assert config["classifier_pooling"] == "mean"
    assert (
        json.loads((classifier / "tokenizer.json").read_text(encoding="utf-8"))["truncation"]["max_length"]
        == 64
    )


def test_a_run_stopped_after_every_step_ends_with_the_same_bytes(pretrained: Path, tmp_path: Path) -> None:
    options = {"train": 48, "epochs": 3, "checkpoint_every": 1, "class_weights": True, "label_smoothing": 0.1}
    fine_tune(fine_tune_job(pretrained, tmp_path / "whole", **options), quiet_reporter())
    job, stops = fine_tune_job(pretrained, tmp_path / "torn", **options), 0
    while not (tmp_path / "torn" / "output").exists():
        reporter = quiet_reporter()
        reporter.stop_requested = True
        with pytest.raises(SystemExit, match="143") if stops < 9 else nullcontext():
            fine_tune(job, reporter)
        stops += 1
    assert stops == 10
    told = map(json.loads, reporter._stream.getvalue().splitlines())  # type: ignore[attr-defined]
    assert [event["epoch"] for event in told if event["event"] == "evaluation"] == [1, 2, 3]
    for name in ("model/model.safetensors", "metrics.json", "history.jsonl"):
        outputs = [tmp_path / run / "output" / name for run in ("whole", "torn")]
        assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_training_ends_when_patience_does(pretrained: Path, tmp_path: Path) -> None:
    job = fine_tune_job(pretrained, tmp_path, train=32, epochs=5, learning_rate=1e-12, patience=1)
    metrics = fine_tune(job, quiet_reporter())
    assert (metrics["best_epoch"], metrics["epochs"]) == (1, 2)


def test_more_length_than_positions_is_refused(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"max_length 65 \(rows of up to 72 tokens\) is more"):
        fine_tune(fine_tune_job(pretrained, tmp_path, max_length=65), quiet_reporter())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": "z"}', "example x:1 has the label 'z', which no training example has"),
        ("nonsense", "line 1: not a JSON object"),
        ("", "no examples"),
    ],
)
def test_a_bad_example_is_named(pretrained: Path, tmp_path: Path, line: str, message: str) -> None:
    job = fine_tune_job(pretrained, tmp_path)
    (tmp_path / "data" / "validation.jsonl").write_text(line.replace("{", '{"id": "x:1", '), encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        fine_tune(job, quiet_reporter())


def test_a_model_of_another_architecture_is_refused(pretrained: Path, tmp_path: Path) -> None:
    job = fine_tune_job(pretrained, tmp_path)
    shutil.copytree(pretrained / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8")) | {
        "model_type": "marian"
    }
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    job.paths["model"] = tmp_path / "model"
    with pytest.raises(TrainingError, match=r"task classification is for .* is of the family marian"):
        fine_tune(job, quiet_reporter())


def test_class_weights_are_one_on_average_and_inverse_to_frequency() -> None:
    task, examples = task_named("classification"), [{"label": label} for label in "aaab"]
    assert label_weights(task, examples, ["a", "b"]) == pytest.approx((4 / 6, 2))
    assert label_weights(task, examples, ["a", "b", "never"]) == pytest.approx((4 / 6, 2, 1))


def test_an_epoch_without_a_figure_is_one_error(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "figures", lambda *given: {"f1_macro": float("nan")})
    with pytest.raises(TrainingError, match="f1_macro on the validation examples is nan after epoch 1"):
        fine_tune(fine_tune_job(pretrained, tmp_path, train=32), quiet_reporter())


def test_unknown_config_keys_are_refused(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="speed: Extra inputs are not permitted"):
        fine_tune(fine_tune_job(pretrained, tmp_path, speed=9), quiet_reporter())
