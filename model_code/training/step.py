"""One optimizer step: the gradient of the whole batch, however it is divided, then the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from model_code.objectives.objective import Batch
from model_code.runtime import Runtime
from model_code.training.optimizer import MixedOptimizer
from model_code.training.parallel import accumulating, gradient_norm
from model_code.training.ranks import Ranks


@dataclass(frozen=True)
class Measured:
    """Of the whole batch: the mean loss of each term in nats, the norm of the gradient, tokens read."""

    terms: Mapping[str, float]
    gradient_norm: float
    tokens: float

    @property
    def loss(self) -> float:
        """What is minimised, but for penalties: the sum of the terms."""
        return sum(self.terms.values())


class Step:
    """Gradients, then `apply` or `discard`."""

    def __init__(
        self, module: nn.Module, optimizer: MixedOptimizer, runtime: Runtime, ranks: Ranks, clip: float
    ) -> None:
        """`module` maps a batch's tensors to scores; `clip` is the largest norm of the gradient."""
        self.optimizer = optimizer
        self._module, self._runtime, self._ranks, self._clip = module, runtime, ranks, clip

    def gradients(self, batches: Sequence[Batch]) -> Measured:
        """Add up the gradients of this rank's micro-batches and of all ranks, and clip them.

        Scores are sums. Each is divided by the number of targets in the whole batch, which is known before
        the first forward pass, so the division of the batch changes nothing but the rounding.
        """
        names = list(batches[0].targets)
        counted = [sum(batch.targets[name] for batch in batches) for name in names]
        *counts, tokens = self._ranks.sum_of([*counted, sum(batch.tokens for batch in batches)])
        targets = {name: max(1.0, count) for name, count in zip(names, counts, strict=True)}
        losses = torch.zeros(len(names), dtype=torch.float64, device=self._runtime.device)
        for number, batch in enumerate(batches, 1):
            with accumulating(self._module, last=number == len(batches)):
                losses += self._backward(batch, targets)
        norm = gradient_norm(self._module.parameters())
        nn.utils.clip_grads_with_norm_(self._module.parameters(), self._clip, norm)
        # One wait for the device in each step.
        *means, total_norm = torch.cat([losses, norm.double()[None]]).tolist()
        means = self._ranks.sum_of(means)
        return Measured(dict(zip(names, means, strict=True)), total_norm, tokens)

    def _backward(self, batch: Batch, targets: Mapping[str, float]) -> torch.Tensor:
        """Add to the gradients; returns this micro-batch's part of the mean losses, float64 [terms]."""
        moved = batch.to(self._runtime.device)
        with self._runtime.autocast():
            scores = self._module(moved.tensors)
        # DDP and FSDP take the mean of the ranks' gradients; the sum is wanted.
        total = sum(
            (scores[name].loss + scores[name].penalty) / targets[name] * self._ranks.count for name in targets
        )
        assert isinstance(total, torch.Tensor)
        total.backward()  # type: ignore[no-untyped-call]
        return torch.stack([scores[name].loss.detach().double() / targets[name] for name in targets])

    def apply(self, factor: float) -> None:
        """Move the weights at `factor` times the peak learning rates, and drop the gradients."""
        self.optimizer.step(factor)

    def discard(self) -> None:
        """Drop the gradients; weights and optimizer stay as they are."""
        self.optimizer.zero_grad()
