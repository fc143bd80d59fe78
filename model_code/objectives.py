"""Masked language modelling (Devlin et al. 2019, arXiv 1810.04805): what is hidden, and the loss on it.

The mask depends on (seed, step) only, never on the state of a global generator, so that a
resumed run hides the same tokens. Logits exist only for the hidden positions: at a rate of
0.3 that saves two thirds of the decoder, the widest matrix of a small model.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import ModernBertForMaskedLM

from model_code.vocabulary import Vocabulary

LOGITS_PER_BLOCK = 2**21


@dataclass(frozen=True)
class MaskedBatch:
    """Inputs [B, S] with tokens hidden, flat positions [N] of the hidden ones, and the originals [N]."""

    inputs: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> "MaskedBatch":
        """The same batch on another device."""
        return MaskedBatch(self.inputs.to(device), self.positions.to(device), self.targets.to(device))


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed for one step; neighbouring steps and seeds get unrelated ones."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def mask_tokens(
    ids: torch.Tensor, rate: float, vocabulary: Vocabulary, generator: torch.Generator
) -> MaskedBatch:
    """Hide each ordinary token of int64 `ids` [B, S] with probability `rate`.

    Of the chosen ones 80 % become [MASK], 10 % a random id, 10 % stay; special tokens are
    never chosen.
    """
    special = torch.tensor([vocabulary.pad, vocabulary.cls, vocabulary.sep, vocabulary.mask])
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~torch.isin(ids, special)
    fate = torch.rand(ids.shape, generator=generator)
    random_ids = torch.randint(vocabulary.size, ids.shape, generator=generator)
    inputs = torch.where(chosen & (fate < 0.8), vocabulary.mask, ids)
    inputs = torch.where(chosen & (fate >= 0.9), random_ids, inputs)
    positions = chosen.flatten().nonzero().squeeze(1)
    return MaskedBatch(inputs, positions, ids.flatten()[positions])


def masked_logits(model: ModernBertForMaskedLM, batch: MaskedBatch) -> torch.Tensor:
    """Logits [N, vocabulary] at the hidden positions."""
    logits: torch.Tensor = model.decoder(model.head(_hidden_states(model, batch)))
    return logits


def masked_lm_loss(model: ModernBertForMaskedLM, batch: MaskedBatch) -> torch.Tensor:
    """Mean cross-entropy in nats over the hidden tokens; 0 when none was hidden.

    On CPU the logits are made in blocks of 8 MB: larger ones are given back to the system after
    each step, and faulting the pages in again cost a tenth of the whole step.
    """
    hidden: torch.Tensor = model.head(_hidden_states(model, batch))
    rows = max(1, LOGITS_PER_BLOCK // model.config.vocab_size if hidden.device.type == "cpu" else len(hidden))
    blocks = zip(torch.split(hidden, rows), torch.split(batch.targets, rows), strict=True)
    losses = [cross_entropy(model.decoder(h).float(), targets, reduction="sum") for h, targets in blocks]
    return torch.stack(losses).sum() / max(1, len(batch.targets))


def _hidden_states(model: ModernBertForMaskedLM, batch: MaskedBatch) -> torch.Tensor:
    hidden: torch.Tensor = model.model(input_ids=batch.inputs).last_hidden_state
    return hidden.flatten(0, 1).index_select(0, batch.positions)
