"""Muon for the hidden matrices, AdamW for everything else.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) orthogonalises the momentum of a
matrix. Embeddings, the decoder, read-outs of a few classes, norms and biases are not hidden matrices and take
AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101); norms and biases take no weight decay.

Muon's rate for a matrix grows with outputs by inputs, which torch takes for rows and columns. `Conv1D`, of
which GPT-2 is made, stores [in, out], so its rate is put right here; the orthogonalised momentum is the same
either way. Fused matrices (queries, keys and values; what is gated and its gate) count as one.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_code.models.kernels import repeated_layers
from model_code.training.parallel import placed

FEW_CLASSES = 4


class MixedOptimizer:
    """One `step` for both optimizers, and their state as a flat table of named tensors."""

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        weight_decay: float,
        muon_learning_rate: float | None = None,
        beta2: float = 0.98,
        layer_decay: float = 1.0,
    ) -> None:
        """Without `muon_learning_rate` AdamW takes the hidden matrices too.

        `layer_decay` is a layer's learning rate as a share of that of the layer above it; the top layer's is
        that share of the head's, and embeddings are below the lowest (Clark et al. 2020, arXiv
        2003.10555, appendix B).
        """
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        outer = _outer(model)
        hidden = [p for p in parameters.values() if p.ndim == 2 and id(p) not in outer]
        decayed = [p for p in parameters.values() if p.ndim == 2 and id(p) in outer]
        undecayed = [p for p in parameters.values() if p.ndim != 2]
        self._names: dict[torch.Tensor, str] = {p: name for name, p in parameters.items()}
        self._optimizers: list[Optimizer] = []
        shares = _shares(model, layer_decay)
        if muon_learning_rate is None:
            decayed = hidden + decayed
        else:
            groups = _groups(hidden, shares, muon_learning_rate, weight_decay, _turned(model))
            self._optimizers.append(Muon(groups, lr=muon_learning_rate))
        groups = [
            *_groups(decayed, shares, learning_rate, weight_decay),
            *_groups(undecayed, shares, learning_rate, 0.0),
        ]
        self._optimizers.append(AdamW(groups, lr=learning_rate, betas=(0.9, beta2), fused=True))
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]

    def step(self, factor: float) -> None:
        """Update the weights at `factor` times the peak learning rates and drop the gradients."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Drop the gradients; the weights stay."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def state(self) -> dict[str, torch.Tensor]:
        """Every tensor of the optimizers' state, named `<parameter>/<key>`."""
        return {
            f"{self._names[parameter]}/{key}": value
            for optimizer in self._optimizers
            for parameter, entries in optimizer.state.items()
            for key, value in entries.items()
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over what `state` returned."""
        owners = {
            self._names[parameter]: (optimizer, parameter)
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        for name, value in state.items():
            parameter_name, key = name.rsplit("/", 1)
            optimizer, parameter = owners[parameter_name]
            # Fused AdamW counts its steps beside the parameter.
            optimizer.state[parameter][key] = placed(value, parameter)


def _groups(
    parameters: Iterable[nn.Parameter],
    shares: Mapping[int, float],
    rate: float,
    weight_decay: float,
    factors: Mapping[int, float] | None = None,
) -> list[dict[str, Any]]:
    """One group of parameters for each learning rate; `factors` of it leave the decay of a step alone."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in parameters:
        key = shares.get(id(parameter), 1.0), (factors or {}).get(id(parameter), 1.0)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": those, "lr": rate * share * factor, "weight_decay": weight_decay / factor}
        for (share, factor), those in groups.items()
    ]


def _turned(model: nn.Module) -> dict[int, float]:
    """By what Muon's rate is too small for a weight that is stored [in, out], by identity: sqrt(out / in)."""
    turned = [module.weight for module in model.modules() if isinstance(module, Conv1D)]
    return {id(weight): math.sqrt(weight.shape[1] / weight.shape[0]) for weight in turned}


def _shares(model: nn.Module, layer_decay: float) -> dict[int, float]:
    """What share of the learning rate the parameters below the head get, by identity."""
    embedding = nn.ModuleList(module for module in model.modules() if _embeds(module))
    below = [embedding, *repeated_layers(model)]
    return {
        id(p): layer_decay ** (len(below) - height)
        for height, part in enumerate(below)
        for p in part.parameters()
    }


def _embeds(module: nn.Module) -> bool:
    """Whether it is a table of embeddings, or tables with what belongs to them, such as their norm."""
    has_table = any(isinstance(child, nn.Embedding) for child in module.children())
    return isinstance(module, nn.Embedding) or (has_table and not repeated_layers(module))


def _outer(model: nn.Module) -> set[int]:
    """Matrices at the ends of a model, by identity: embeddings, the decoder, read-outs of a few classes."""
    ends = [
        module
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        or (isinstance(module, nn.Linear) and module.out_features <= FEW_CLASSES)
    ]
    if isinstance(model, PreTrainedModel):
        ends += filter(None, [model.get_output_embeddings()])  # type: ignore[no-untyped-call]
    return {id(p) for m in ends for p in m.parameters()}
