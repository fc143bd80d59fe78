"""Distillation: a model learns from the answers of a teacher, or from its own under other dropout (R-Drop).

Both are for tasks that offer `logits(model, tensors)`, float32 [rows, classes], of classes of which one is
right. What a row can't be is -inf in both answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from model_code.config.fine_tuning import DistillConfig
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.objectives.objective import Score
from model_code.task_types.task import Settings, TaskType, read_settings


class Distillation(nn.Module):
    """A student that learns from labels and from the answers of its teacher.

    Hinton et al. 2015 (arXiv 1503.02531): `weight` times the divergence of the softened answers, times the
    squared temperature, and the rest of the loss as it was. What is reported is the loss on the labels.
    """

    def __init__(
        self, model: nn.Module, task: TaskType, settings: Settings, teacher: nn.Module, distill: DistillConfig
    ) -> None:
        """`teacher` answers without dropout and stays as it is."""
        super().__init__()
        self.model, self._task, self._settings, self._distill = model, task, settings, distill
        self._teacher = teacher.requires_grad_(False).train(False)

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The scores of one batch."""
        scores, student = _answered(self._task, self.model, tensors, self._settings)
        teacher = _logits(self._task, self._teacher, tensors)
        temperature, weight = self._distill.temperature, self._distill.weight
        apart = temperature**2 * divergence(teacher / temperature, student / temperature)
        first = next(iter(scores))
        return {
            name: s._replace(penalty=s.penalty + weight * ((apart if name == first else 0) - s.loss))
            for name, s in scores.items()
        }


class RDrop(nn.Module):
    """A model that is to give one answer whatever dropout leaves out.

    Liang et al. 2021 (arXiv 2106.14448): the mean loss of two passes, and `weight` times the mean of the
    divergences of their answers in both directions.
    """

    def __init__(self, model: nn.Module, task: TaskType, settings: Settings, weight: float) -> None:
        """`model` has dropout: without any, both passes are the same."""
        super().__init__()
        self.model, self._task, self._settings, self._weight = model, task, settings, weight

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The scores of one batch."""
        first, one = _answered(self._task, self.model, tensors, self._settings)
        second, other = _answered(self._task, self.model, tensors, self._settings)
        means = {
            name: Score(*((a + b) / 2 for a, b in zip(first[name], second[name], strict=True)))
            for name in first
        }
        apart = self._weight * (divergence(one, other) + divergence(other, one)) / 2
        name, score = next(iter(means.items()))
        return means | {name: score._replace(penalty=score.penalty + apart)}


def divergence(wanted: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence in nats of the answers `given` from those `wanted`, summed over rows.

    Both are logits [rows, classes].
    """
    wanted, given = wanted.log_softmax(-1), given.log_softmax(-1)
    return (wanted.exp() * (wanted - given).masked_fill(wanted.isneginf(), 0)).sum()


def teacher_of(
    distill: DistillConfig, task: TaskType, settings: Settings, tokenizer: Tokenizer, max_length: int
) -> nn.Module:
    """The model of `distill.teacher`.

    Raises TrainingError when it is none, or can't teach a student of these settings.
    """
    directory = Path(distill.teacher)
    named = f"distill.teacher {distill.teacher}"
    theirs = read_settings(directory)
    if theirs.task != settings.task:
        raise TrainingError(
            f"{named} was fine-tuned for {theirs.task}, not for {settings.task}; name another"
        )
    if theirs.labels != settings.labels:
        raise TrainingError(
            f"{named} knows the labels {', '.join(theirs.labels)}, the examples have "
            f"{', '.join(settings.labels)}; fine-tune it on the same examples"
        )
    if _text(load_tokenizer(directory)) != _text(tokenizer):
        raise TrainingError(
            f"{named} has another tokenizer than the pretrained model, and reads the same tokens; "
            "pretrain both on the tokens of one tokenizer"
        )
    model = task.load(directory, vocabulary_of(directory), theirs)
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        raise TrainingError(
            f"{named} has {positions} positions, fewer than max_length {max_length}; lower it"
        )
    return model


def require_logits(task: TaskType, name: str, what: str) -> None:
    """Raise TrainingError when the answers of a task can't be compared."""
    if not hasattr(task, "logits"):
        raise TrainingError(f"{what} compares logits, and the task {name} has none; leave it out")


class _Once:
    """A model that is asked once for each batch: its loss and its logits come from the same pass."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._output = model, None

    def __call__(self, **inputs: Any) -> Any:
        if self._output is None:
            self._output = self._model(**inputs)
        return self._output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _answered(
    task: TaskType, model: nn.Module, tensors: Mapping[str, torch.Tensor], settings: Settings
) -> tuple[dict[str, Score], torch.Tensor]:
    once = _Once(model)
    return task.scores(once, tensors, settings), _logits(task, once, tensors)


def _logits(task: TaskType, model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    logits: torch.Tensor = task.logits(model, tensors)  # type: ignore[attr-defined]
    return logits


def _text(tokenizer: Tokenizer) -> str:
    """What a tokenizer does, but for cutting and filling, which is a task's business."""
    return json.dumps(json.loads(tokenizer.to_str()) | {"truncation": None, "padding": None}, sort_keys=True)
