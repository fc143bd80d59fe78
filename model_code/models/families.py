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
from model_code.models import bert, gpt2, llama, marian, modernbert, t5
from model_code.models.shape import Shape


class Family(Protocol):
    """What a module of a family offers; how it is run depends on whether it has one stack or two.

    PRETRAINED is the class with the heads of pretraining, DROPOUT are the names that its configuration has
    for dropout.
    """

    PRETRAINED: type[PreTrainedModel]
    DROPOUT: tuple[str, ...]

    def build(self, shape: Shape, vocabulary: Vocabulary) -> PreTrainedModel:
        """A randomly initialised model. Raises TrainingError when the shape is impossible."""

    def logits(self, model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [N, vocabulary] of hidden states [N, D]."""


class Stack(Protocol):
    """An encoder or a decoder alone, however it is run."""

    def logits(self, model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [N, vocabulary] of hidden states [N, D]."""

    def hidden_states(
        self, model: PreTrainedModel, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """The last hidden states [B, S, D] of packed rows [B, S]; no token sees another document."""


class SingleStack(Family, Stack, Protocol):
    """A family of one stack."""


class EncoderDecoder(Family, Protocol):
    """An encoder, and a decoder that reads it."""

    def hidden_states(
        self,
        model: PreTrainedModel,
        ids: torch.Tensor,
        documents: torch.Tensor,
        decoder_ids: torch.Tensor,
        decoder_documents: torch.Tensor,
    ) -> torch.Tensor:
        """The decoder's last hidden states [B, T, D] of packed rows [B, S] and [B, T]."""

    def output_scale(self, model: PreTrainedModel) -> float:
        """What the decoder's states are multiplied by before they meet the output embeddings."""


ENCODERS: Mapping[str, SingleStack] = {"modernbert": modernbert, "bert": bert}
DECODERS: Mapping[str, SingleStack] = {"gpt2": gpt2, "llama": llama}
ENCODER_DECODERS: Mapping[str, EncoderDecoder] = {"t5": t5, "marian": marian}
FAMILIES: Mapping[str, Family] = {**ENCODERS, **DECODERS, **ENCODER_DECODERS}


def family_named(name: str) -> Family:
    """The family of this name. Raises TrainingError when there is none."""
    if name not in FAMILIES:
        raise TrainingError(f"family {name!r} is not known; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
