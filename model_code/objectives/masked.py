"""Masked language modelling (Devlin et al. 2019, arXiv 1810.04805): guess tokens from both their sides.

Logits exist only for the hidden positions: at a rate of 0.3 that saves two thirds of the decoder, the
widest matrix of a small model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.models.families import Family
from model_code.objectives.cross_entropy import scored
from model_code.objectives.objective import Batch, Score


@dataclass(frozen=True)
class Masked:
    """Hides each ordinary token with probability `rate`."""

    family: Family
    vocabulary: Vocabulary
    rate: float
    z_loss: float = 0.0

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """Inputs [R, S] with tokens hidden, flat positions [N] of the hidden ones, and the originals [N].

        Of the chosen ones 80 % become [MASK], 10 % a random id, 10 % stay; special tokens are never chosen.
        """
        columns = rows.ids.shape[1]
        assert self.vocabulary.mask is not None
        chosen = torch.from_numpy(noise.uniform("chosen", columns) < self.rate)
        chosen &= ~torch.isin(rows.ids, torch.from_numpy(self.vocabulary.special()))
        fate = torch.from_numpy(noise.uniform("fate", columns))
        random_ids = torch.from_numpy(noise.integers("random", columns, self.vocabulary.size))
        inputs = torch.where(chosen & (fate < 0.8), self.vocabulary.mask, rows.ids)
        inputs = torch.where(chosen & (fate >= 0.9), random_ids, inputs)
        places = chosen.flatten().nonzero().squeeze(1)
        tensors = {
            "ids": inputs,
            "documents": rows.documents,
            "positions": rows.positions,
            "places": places,
            "targets": rows.ids.flatten()[places],
        }
        return Batch(tensors, {"masked": len(places)}, rows.ids.numel())

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The loss on the hidden tokens."""
        states = self.family.hidden_states(model, tensors["ids"], tensors["documents"], tensors["positions"])
        hidden = states.flatten(0, 1).index_select(0, tensors["places"])
        return {
            "masked": scored(hidden, tensors["targets"], lambda h: self.family.logits(model, h), self.z_loss)
        }
