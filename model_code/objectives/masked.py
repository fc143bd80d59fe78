"""Masked language modelling (Devlin et al. 2019, arXiv 1810.04805): guess tokens from both their sides.

Logits exist only for the hidden positions: at a rate of 0.3 that saves two thirds of the decoder, the
widest matrix of a small model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.data.words import Words
from model_code.models.families import Stack
from model_code.objectives.cross_entropy import scored
from model_code.objectives.objective import Batch, Score


@dataclass(frozen=True)
class Masked:
    """Hides each ordinary token, or with `words` each word, with probability `rate`."""

    family: Stack
    vocabulary: Vocabulary
    rate: float
    words: Words | None = None
    z_loss: float = 0.0

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """Inputs [R, S] with tokens hidden, flat positions [N] of the hidden ones, and the originals [N].

        Of the chosen ones 80 % become [MASK], 10 % random ids, 10 % stay; special tokens are never chosen.
        The tokens of a word share its fate, so the rate is that of tokens, too.
        """
        assert self.vocabulary.mask is not None
        columns = rows.ids.shape[1]
        chosen = self._per_word(noise.uniform("chosen", columns), rows) < self.rate
        chosen &= ~torch.isin(rows.ids, torch.from_numpy(self.vocabulary.special()))
        fate = self._per_word(noise.uniform("fate", columns), rows)
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
        return Batch(tensors, {"masked": len(places)}, rows.tokens)

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The loss on the hidden tokens."""
        states = self.family.hidden_states(model, tensors["ids"], tensors["documents"], tensors["positions"])
        return {"masked": self.score(model, states, tensors)}

    def score(
        self, model: PreTrainedModel, states: torch.Tensor, tensors: Mapping[str, torch.Tensor]
    ) -> Score:
        """The loss on the hidden tokens, given the last hidden states [R, S, D]."""
        hidden = states.flatten(0, 1).index_select(0, tensors["places"])
        return scored(hidden, tensors["targets"], lambda h: self.family.logits(model, h), self.z_loss)

    def _per_word(self, numbers: npt.NDArray[np.float64], rows: Rows) -> torch.Tensor:
        """Numbers [R, S] of the tokens, or, at every token, that of the first token of its word."""
        if self.words is not None:
            columns = self.words.first_columns(rows.ids.numpy(), rows.documents.numpy())
            numbers = np.take_along_axis(numbers, columns, axis=1)
        return torch.from_numpy(numbers)
