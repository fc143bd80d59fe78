"""Causal language modelling (Radford et al. 2019): guess each token from those before it in its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from model_code.data.batches import NO_DOCUMENT, Rows
from model_code.data.noise import Noise
from model_code.models.families import Stack
from model_code.objectives.cross_entropy import scored
from model_code.objectives.objective import Batch, Score


@dataclass(frozen=True)
class Causal:
    """Every token but the first of a document, or of its part in a row, is a target."""

    family: Stack
    z_loss: float = 0.0

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """The rows [R, S] as they are, flat positions [N] of tokens with a successor, and these [N]."""
        followed = torch.zeros_like(rows.ids, dtype=torch.bool)
        followed[:, :-1] = rows.documents[:, 1:] == rows.documents[:, :-1]
        followed &= rows.documents != NO_DOCUMENT
        places = followed.flatten().nonzero().squeeze(1)
        tensors = {
            "ids": rows.ids,
            "documents": rows.documents,
            "positions": rows.positions,
            "places": places,
            "targets": rows.ids.flatten()[places + 1],
        }
        return Batch(tensors, {"causal": len(places)}, rows.tokens)

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The loss on the next tokens."""
        states = self.family.hidden_states(model, tensors["ids"], tensors["documents"], tensors["positions"])
        hidden = states.flatten(0, 1).index_select(0, tensors["places"])
        return {
            "causal": scored(hidden, tensors["targets"], lambda h: self.family.logits(model, h), self.z_loss)
        }
