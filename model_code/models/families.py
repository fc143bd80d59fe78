"""The model families: how each is built, run on packed rows, and read out.

Every family is a standard transformers class, so `save_pretrained` gives a checkpoint that everyone can load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from transformers import PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models import modernbert
from model_code.models.shape import Shape


class Family(Protocol):
    """What a module of a family offers."""

    PRESETS: Mapping[str, Shape]

    def build(self, shape: Shape, vocabulary: Vocabulary) -> PreTrainedModel:
        """A randomly initialised model. Raises TrainingError when the shape is impossible."""

    def hidden_states(
        self, model: PreTrainedModel, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """The last hidden states [B, S, D] of packed rows [B, S]; no token sees another document."""

    def logits(self, model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [N, vocabulary] of hidden states [N, D]."""


FAMILIES: Mapping[str, Family] = {"modernbert": modernbert}


def family_named(name: str) -> Family:
    """The family of this name. Raises TrainingError when there is none."""
    if name not in FAMILIES:
        raise TrainingError(f"family {name!r} is not known; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
