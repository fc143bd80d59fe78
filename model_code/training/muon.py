"""Muon: the update of a hidden matrix is its momentum, orthogonalised.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon); with a whole matrix [out, in] it does what
`torch.optim.Muon` does. A weight may be another thing: transformers' `Conv1D` stores [in, out], and some
families keep several matrices in one, such as those of queries, keys and values. Each of them is
orthogonalised by itself and takes the rate of its own shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from transformers.pytorch_utils import Conv1D

from model_code.models.families import FAMILIES

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic whose slope at zero is greatest
ITERATIONS = 5


@dataclass(frozen=True)
class Layout:
    """How a weight holds its matrices: how many along the outputs, and whether as [in, out]."""

    parts: int = 1
    transposed: bool = False

    def matrices(self, weight: torch.Tensor) -> list[torch.Tensor]:
        """The matrices [out, in] of a tensor that lies as the weight does."""
        return list((weight.T if self.transposed else weight).chunk(self.parts))

    def weight(self, matrices: list[torch.Tensor]) -> torch.Tensor:
        """The reverse of `matrices`."""
        joined = torch.cat(matrices) if self.parts > 1 else matrices[0]
        return joined.T if self.transposed else joined


def layouts(model: nn.Module) -> dict[nn.Parameter, Layout]:
    """The layout of every weight of a linear layer: the orientation by its type, the parts by its family."""
    family = FAMILIES.get(getattr(getattr(model, "config", None), "model_type", ""))
    fused: Mapping[str, int] = family.FUSED if family else {}
    return {
        module.weight: Layout(fused.get(name.rpartition(".")[2], 1), isinstance(module, Conv1D))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }


class Muon(Optimizer):
    """Muon with Nesterov's momentum and decoupled weight decay, for parameters of two dimensions."""

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        learning_rate: float,
        layouts: Mapping[nn.Parameter, Layout],
        weight_decay: float = 0.0,
    ) -> None:
        """A parameter without a layout is one matrix [out, in]."""
        super().__init__(groups, {"lr": learning_rate, "weight_decay": weight_decay})
        self._layouts = layouts

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update what has a gradient, a matrix [out, in] at sqrt(max(1, out / in)) times the rate."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"])

    def _update(self, parameter: nn.Parameter, rate: float, weight_decay: float) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - MOMENTUM)
        layout = self._layouts.get(parameter, Layout())
        matrices = layout.matrices(parameter.grad.lerp(momentum, MOMENTUM))
        parameter.mul_(1 - rate * weight_decay)
        # All matrices of a weight have one shape, and so one rate.
        rows, columns = matrices[0].shape
        update = layout.weight([orthogonalised(matrix) for matrix in matrices])
        parameter.add_(update, alpha=-rate * math.sqrt(max(1, rows / columns)))


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix [rows, columns] with the same singular vectors and values near 1, in bfloat16.

    Near is between 0.5 and 1.5: this iteration of Newton and Schulz is steep at zero and does not converge.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.bfloat16()
    found = found.T if tall else found
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if tall else found
