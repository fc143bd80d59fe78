"""A model and its objective as one module, so that whatever wraps a forward pass sees all of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

from model_code.objectives.objective import Objective, Score


class TrainingModule(nn.Module):
    """Tensors of a batch in, one Score per term of the loss out.

    DistributedDataParallel and FSDP act before and after `forward`; a model whose parts are called one by
    one would pass them by.
    """

    def __init__(self, model: PreTrainedModel, objective: Objective) -> None:
        """`model` is trained by `objective`."""
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The scores of one micro-batch."""
        return self.objective.scores(self.model, tensors)
