"""An exponential moving average of the weights (Polyak & Juditsky 1992), often better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from model_code.training.parallel import placed


class Average:
    """A second copy of the weights that follows them slowly; on the same device, sharded alike."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay` is the share of the average that a step leaves; it begins lower, rising with the steps."""
        self._weights = dict(model.named_parameters())
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps (from 1).

        In the first ones the decay is (1 + step) / (10 + step), so that the random start is soon forgotten.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        weights = [weight.detach() for weight in self._weights.values()]
        torch._foreach_lerp_(list(self._averages.values()), weights, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average stands in the model for the time of the block."""
        own = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._overwrite(self._weights, self._averages)
        try:
            yield
        finally:
            self._overwrite(self._weights, own)

    def state(self) -> dict[str, torch.Tensor]:
        """The averages by the names of their parameters."""
        return self._averages

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over what `state` returned."""
        self._overwrite(self._averages, state)

    @staticmethod
    @torch.no_grad()
    def _overwrite(targets: Mapping[str, torch.Tensor], sources: Mapping[str, torch.Tensor]) -> None:
        for name, target in targets.items():
            target.copy_(placed(sources[name], target))
