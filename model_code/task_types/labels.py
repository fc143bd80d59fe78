"""What tasks share that choose among labels: a head with a logit for each, and the loss of a choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from model_code.errors import TrainingError
from model_code.models.checkpoints import described_in, load_model
from model_code.objectives.objective import Score
from model_code.task_types.task import Settings

HEAD_DROPOUT = (
    "classifier_dropout",
    "classifier_dropout_prob",
    "seq_classif_dropout",
    "qa_dropout",
    "cls_dropout",
    "summary_first_dropout",
)


def load_labelled(directory: Path, kind: Any, settings: Settings, **config: Any) -> PreTrainedModel:
    """A checkpoint as `kind`, one of the Auto classes, with a logit for each label."""
    model: PreTrainedModel = load_model(
        directory,
        kind,
        num_labels=len(settings.labels),
        id2label=dict(enumerate(settings.labels)),
        label2id={label: i for i, label in enumerate(settings.labels)},
        **head_dropout(directory, settings),
        **config,
    )
    return model


def head_dropout(directory: Path, settings: Settings) -> dict[str, float]:
    """The dropout before the head by the name that the checkpoint's architecture has for it; {}: its own.

    Raises TrainingError when it has none and the settings ask for one.
    """
    if settings.head_dropout is None:
        return {}
    described = described_in(directory)
    named = [name for name in HEAD_DROPOUT if hasattr(described, name)]
    if not named:
        raise TrainingError(
            f"head_dropout is {settings.head_dropout}, and a {described.model_type} has no dropout of its "
            "own before a head; leave it out"
        )
    return dict.fromkeys(named, settings.head_dropout)


def label_weights(settings: Settings, device: torch.device) -> torch.Tensor | None:
    """The weights of the labels, float32 [labels]; None where all count alike."""
    return torch.tensor(settings.label_weights, device=device) if settings.label_weights else None


def choice(found: torch.Tensor, targets: torch.Tensor, settings: Settings) -> Score:
    """The score of logits [N, labels] for `targets`, int64 [N]: smoothed cross-entropy, weighted by target.

    torch's own `weight` also weighs the share that smoothing gives to the other labels: then a rare one of
    large weight would be the better answer for every example.
    """
    losses = cross_entropy(found, targets, label_smoothing=settings.label_smoothing, reduction="none")
    weights = label_weights(settings, found.device)
    loss = (losses if weights is None else losses * weights[targets]).sum()
    return Score(loss, torch.zeros_like(loss), (found.argmax(-1) == targets).sum())
