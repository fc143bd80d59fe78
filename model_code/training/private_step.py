"""A step of DP-SGD: the gradient of each example is clipped by itself, and noise is added to their sum.

Opacus (Yousefpour et al. 2021, arXiv 2109.12298) computes the gradients of single examples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from model_code.errors import TrainingError
from model_code.objectives.objective import Batch
from model_code.privacy import Mechanism
from model_code.runtime import Runtime
from model_code.task_types.task import Data
from model_code.training.optimizer import MixedOptimizer
from model_code.training.parallel import gradient_norm
from model_code.training.ranks import Ranks
from model_code.training.step import Measured, Step

MICRO_BATCH = 32  # examples whose gradients are in memory together
TRIED = 8  # examples whose loss must be the same together as alone


class PrivateStep(Step):
    """What `Step` does for a batch that `mechanism` has drawn: row i of every micro-batch is one example.

    It is computed in float32: in a coarser type the clipped norm would be a little above `mechanism.clip`.
    """

    def __init__(
        self, module: nn.Module, optimizer: MixedOptimizer, runtime: Runtime, mechanism: Mechanism
    ) -> None:
        """`optimizer` moves what is trained; Opacus' hooks stay on the module."""
        super().__init__(module, optimizer, Runtime(runtime.device, torch.float32), Ranks(), mechanism.clip)
        self._mechanism = mechanism
        self._trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._hooks = _hooks(module)

    def gradients(self, batches: Sequence[Batch]) -> Measured:
        """The noisy sum of the clipped gradients by the expected number of examples; losses are the means.

        The loss that is reported is without noise. Raises TrainingError where a weight's gradient can't be
        told apart by examples.
        """
        sums = {name: torch.zeros_like(p) for name, p in self._trained.items()}
        totals: dict[str, float] = {}
        targets: dict[str, float] = {}
        for batch in batches:
            losses = self._backward(batch, dict.fromkeys(batch.targets, 1.0))
            for name, loss in zip(batch.targets, losses.tolist(), strict=True):
                totals[name] = totals.get(name, 0.0) + loss
                targets[name] = targets.get(name, 0.0) + batch.targets[name]
            for name, clipped in self._clipped_sums(len(next(iter(batch.tensors.values())))).items():
                sums[name] += clipped
            self.discard()
        self._set_noisy(sums)
        norm = float(gradient_norm(self._trained.values()))
        means = {name: total / max(1.0, targets[name]) for name, total in totals.items()}
        return Measured(means, norm, sum(batch.tokens for batch in batches))

    def discard(self) -> None:
        """Drop the gradients, those of single examples too."""
        super().discard()
        self._hooks.set_grad_sample_to_none()

    def _clipped_sums(self, examples: int) -> dict[str, torch.Tensor]:
        """The sum over examples of the gradient of each, none of a norm above the clip."""
        gradients = {n: _of_examples(n, p, examples) for n, p in self._trained.items() if p.grad is not None}
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
        factors = (self._mechanism.clip / norms.clamp(min=1e-12)).clamp(max=1)
        return {name: torch.einsum("n,n...->...", factors, g) for name, g in gradients.items()}

    def _set_noisy(self, sums: dict[str, torch.Tensor]) -> None:
        # The loop has seeded torch by the place in the data: the one number that names this step.
        sizes = [total.numel() for total in sums.values()]
        noise = self._mechanism.noise(torch.initial_seed(), sum(sizes))
        parts = torch.split(torch.from_numpy(noise), sizes)
        for (name, total), part in zip(sums.items(), parts, strict=True):
            noisy = total + part.view_as(total).to(total.device)
            self._trained[name].grad = noisy / self._mechanism.batch_size


def drawn_batches(data: Data, mechanism: Mechanism, place: int) -> list[Batch]:
    """The micro-batches of the examples drawn for a step, neighbours in length together; may be none."""
    items = mechanism.sample(place)
    items = items[np.argsort(data.lengths[items], kind="stable")]
    starts = range(0, len(items), MICRO_BATCH)
    return [_a_row_each(data, items[start : start + MICRO_BATCH]) for start in starts]


def one_item_a_row(data: Data) -> Data:
    """The data as it is where no row of a batch holds two items, which would be clipped as one."""
    unpacked: Data = data.unpacked() if hasattr(data, "unpacked") else data
    return unpacked


def _a_row_each(data: Data, items: np.ndarray) -> Batch:
    batch = data.batch(items)
    rows = len(next(iter(batch.tensors.values())))
    assert rows == len(items), f"{rows} rows of {len(items)} items would be clipped as {rows}"
    return batch


def require_separable(module: nn.Module, data: Data, examples: int, runtime: Runtime) -> None:
    """Raise TrainingError unless every example is one item, whose loss depends on nothing but itself.

    What a person's example adds to the sum is bounded only then. A few of them are tried, which may happen to
    be alike: a task type that compares examples has to say so (UNBOUNDED).
    """
    if len(data.lengths) != examples:
        raise TrainingError(
            f"the {examples} examples are cut or packed into {len(data.lengths)} rows, and privacy bounds "
            "what a row does, not an example; change max_length or the task's options, or leave privacy out"
        )
    few = np.random.default_rng(0).permutation(examples)[:TRIED]
    together, alone = (
        sum(_loss(module, data.batch(items), runtime) for items in rows) for rows in ([few], few[:, None])
    )
    if abs(together - alone) > 0.01 * abs(alone) + 1e-3:
        raise TrainingError(
            f"the loss of {len(few)} examples together is {together:.4g}, of each alone {alone:.4g} in sum: "
            "this task compares examples with each other, so privacy can't be kept; leave it out"
        )


def freeze_embeddings(model: nn.Module) -> None:
    """Leave every table of embeddings, and a decoder that shares one, as pretraining has made it.

    The gradient of an example has a row for each entry of the vocabulary, nearly all of them empty, and each
    would get noise. Tables of positions are looked up once for all examples, so theirs can't be told apart.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.requires_grad_(False)


def _hooks(module: nn.Module) -> Any:
    from opacus.grad_sample import GradSampleModule
    from opacus.grad_sample.grad_sample_module import GradSampleHooks

    class Hooks(GradSampleHooks):
        # That of Opacus 1.6 for LayerNorm fails without a bias; torch.func takes its place.
        GRAD_SAMPLERS: ClassVar = {
            kind: sampler
            for kind, sampler in GradSampleModule.GRAD_SAMPLERS.items()
            if kind is not nn.LayerNorm
        }

    # Of the first layer, whose input are embeddings that rest; only outputs matter to Opacus.
    warnings.filterwarnings("ignore", "Full backward hook is firing")
    return Hooks(module, loss_reduction="sum")


def _of_examples(name: str, parameter: nn.Parameter, examples: int) -> torch.Tensor:
    gradient = getattr(parameter, "grad_sample", None)
    if not isinstance(gradient, torch.Tensor) or len(gradient) != examples:
        raise TrainingError(
            f"the gradients of {name} can't be told apart by examples, so privacy can't be kept for this "
            "task with this model; train adapters (lora), or leave privacy out"
        )
    return gradient


@torch.no_grad()
def _loss(module: nn.Module, batch: Batch, runtime: Runtime) -> float:
    module.train(False)
    scores = module(batch.to(runtime.device).tensors)
    return float(sum(score.loss + score.penalty for score in scores.values()))
