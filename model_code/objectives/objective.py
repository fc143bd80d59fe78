"""What an objective is: it makes batches of packed rows, and scores a model on them.

Making a batch happens on the CPU and is pure; scoring happens on the device, inside the forward pass. Scores
are sums, with the number of targets known beforehand, so that micro-batches and ranks add up to the mean of
the whole batch, however it is divided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from transformers import PreTrainedModel

from model_code.data.batches import Rows
from model_code.data.noise import Noise


@dataclass(frozen=True)
class Batch:
    """Tensors for the device, the number of targets of every term of the loss, and of tokens read."""

    tensors: Mapping[str, torch.Tensor]
    targets: Mapping[str, float]
    tokens: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return Batch(moved, self.targets, self.tokens)


class Score(NamedTuple):
    """Sums over the targets of one term: the loss in nats, what is added to it in training, right guesses.

    A tuple, since FSDP looks for the tensors of an output in those. Guesses are counted only where no
    gradients are, and the penalty (z-loss) only where they are.
    """

    loss: torch.Tensor
    penalty: torch.Tensor
    hits: torch.Tensor


class Objective(Protocol):
    """One way to train on packed rows."""

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """Hide, corrupt or shift what the model has to guess; on the CPU, a function of its arguments."""

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """One score per term; the first is the one that is reported as the loss of the model."""
