"""R-Drop and distillation: what is added to the loss, and which teachers are refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import kl_div
from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedModel

from model_code.config.fine_tuning import DistillConfig
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.distillation import Distillation, RDrop, divergence, require_logits, teacher_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.task_types import classification
from model_code.task_types.task import Settings, read_settings, task_named, write_settings
from tests.model_code.conftest import fine_tune_job, quiet_reporter

TASK: Any = classification
SETTINGS = Settings("classification", labels=("a", "b", "c"))
TENSORS = {
    "input_ids": torch.arange(5, 35).view(3, 10),
    "attention_mask": torch.ones(3, 10, dtype=torch.int64),
    "targets": torch.tensor([0, 2, 1]),
}


def model(seed: int, dropout: float = 0.0) -> PreTrainedModel:
    torch.manual_seed(seed)
    labels: dict[str, Any] = {"num_labels": 3}  # a field of every configuration, unknown to mypy
    return ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            classifier_dropout=dropout,
            pad_token_id=0,
            initializer_range=0.5,
            **labels,
        )
    )


def test_divergence_is_that_of_kullback_and_leibler_and_passes_over_what_cannot_be() -> None:
    one, other = torch.randn(4, 5), torch.randn(4, 5, requires_grad=True)
    expected = kl_div(other.log_softmax(-1), one.log_softmax(-1), reduction="sum", log_target=True)
    assert divergence(one, other).item() == pytest.approx(expected.item())
    assert divergence(one, one).item() == 0
    never = torch.full((4, 2), -torch.inf)
    padded = divergence(torch.cat([one, never], 1), torch.cat([other, never], 1))
    assert padded.item() == pytest.approx(expected.item())
    padded.backward()  # type: ignore[no-untyped-call]
    assert other.grad is not None
    assert other.grad.isfinite().all()


def test_r_drop_adds_the_divergence_of_two_passes_and_nothing_without_dropout() -> None:
    same = RDrop(model(0).train(), TASK, SETTINGS, 1.0)(TENSORS)["label"]
    plain = TASK.scores(model(0).train(), TENSORS, SETTINGS)["label"]
    assert same.loss.item() == pytest.approx(plain.loss.item())
    assert abs(same.penalty.item()) < 1e-5

    dropping = model(0, dropout=0.5).train()
    torch.manual_seed(1)
    score = RDrop(dropping, TASK, SETTINGS, 0.7)(TENSORS)["label"]
    torch.manual_seed(1)
    one, other = (TASK.logits(dropping, TENSORS) for _ in range(2))
    expected = 0.7 * (divergence(one, other) + divergence(other, one)) / 2
    assert score.penalty.item() == pytest.approx(expected.item(), rel=1e-5)
    assert score.penalty.item() > 0.01


def test_a_student_is_drawn_to_the_softened_answers_of_its_teacher() -> None:
    student, teacher = model(0), model(1)
    distill = DistillConfig(teacher="large", temperature=3.0, weight=0.4)
    score = Distillation(student, TASK, SETTINGS, teacher, distill)(TENSORS)["label"]
    soft = [(TASK.logits(m, TENSORS) / 3.0) for m in (teacher, student)]
    loss = TASK.scores(student, TENSORS, SETTINGS)["label"].loss
    assert score.loss.item() == pytest.approx(loss.item())
    total = 0.4 * 9 * divergence(*soft) + 0.6 * loss
    assert (score.loss + score.penalty).item() == pytest.approx(total.item(), rel=1e-5)
    score.penalty.backward()
    assert all(p.grad is None for p in teacher.parameters())

    twin = Distillation(student, TASK, SETTINGS, model(0), distill.model_copy(update={"weight": 1.0}))(
        TENSORS
    )["label"]
    assert abs((twin.loss + twin.penalty).item()) < 1e-5


def test_tasks_without_logits_are_refused() -> None:
    require_logits(TASK, "classification", "r_drop")
    with pytest.raises(TrainingError, match="r_drop compares logits, and the task seq2seq has none"):
        require_logits(task_named("seq2seq"), "seq2seq", "r_drop")


def teacher(classifier: Path, home: Path, **changes: Any) -> DistillConfig:
    shutil.copytree(classifier, home)
    write_settings(replace(read_settings(home), **changes), home)
    return DistillConfig(teacher=str(home))


def test_a_teacher_of_something_else_is_refused(classifier: Path, tmp_path: Path) -> None:
    settings, tokenizer = read_settings(classifier), load_tokenizer(classifier)
    assert teacher_of(DistillConfig(teacher=str(classifier)), TASK, settings, tokenizer, 64)
    other = teacher(classifier, tmp_path / "labels", labels=("bara", "mote", "nun"))
    with pytest.raises(
        TrainingError, match="knows the labels bara, mote, nun, the examples have bara, mote, sozo"
    ):
        teacher_of(other, TASK, settings, tokenizer, 64)
    other = teacher(classifier, tmp_path / "task", task="seq2seq", options={})
    with pytest.raises(TrainingError, match="was fine-tuned for seq2seq, not for classification"):
        teacher_of(other, TASK, settings, tokenizer, 64)
    with pytest.raises(TrainingError, match="has 64 positions, fewer than max_length 65"):
        teacher_of(DistillConfig(teacher=str(classifier)), TASK, settings, tokenizer, 65)
    with pytest.raises(TrainingError, match="name the model directory of a finished fine-tuning"):
        teacher_of(DistillConfig(teacher=str(tmp_path)), TASK, settings, tokenizer, 64)
    file = Path(other.teacher) / "tokenizer.json"
    write_settings(settings, file.parent)
    file.write_text(
        json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"normalizer": {"type": "Lowercase"}}),
        encoding="utf-8",
    )
    with pytest.raises(TrainingError, match="has another tokenizer than the pretrained model"):
        teacher_of(other, TASK, settings, tokenizer, 64)
    assert vocabulary_of(file.parent)


def test_a_student_of_no_labels_learns_from_its_teacher_alone(
    classifier: Path, pretrained: Path, tmp_path: Path
) -> None:
    distill = {"teacher": str(classifier), "weight": 1.0}
    metrics = fine_tune(fine_tune_job(pretrained, tmp_path, epochs=3, distill=distill), quiet_reporter())
    assert metrics["accuracy"] > 0.9
