"""How well a model guesses held-out text, under its own objective."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from model_code.data.batches import held_out
from model_code.data.noise import Noise
from model_code.data.shards import TokenSplit
from model_code.objectives.objective import Objective
from model_code.runtime import Runtime

# One fixed noise for every evaluation, so that losses of different models can be compared.
NOISE_SEED = 20_190_524


@torch.no_grad()  # FSDP gathers weights that training uses later; inference mode would spoil them
def evaluate(
    module: nn.Module,
    objective: Objective,
    split: TokenSplit,
    sequence_length: int,
    batch_size: int,
    runtime: Runtime,
    filler: int | None = None,
) -> dict[str, Any]:
    """Loss (nats), accuracy and number of targets of each term; the first one's perplexity on top.

    `module` is a TrainingModule, or what wraps it for many ranks, each of which measures the whole split.
    `filler` is as for `slices`. Raises TrainingError when the split is shorter than one sequence.
    """
    module.train(False)
    losses, hits, targets = Counter[str](), Counter[str](), Counter[str]()
    for rows in held_out(split, sequence_length, batch_size, filler):
        batch = objective.batch(rows, Noise(NOISE_SEED, 0, rows.places)).to(runtime.device)
        targets.update(batch.targets)
        with runtime.autocast():
            scores = module(batch.tensors)
        losses.update({name: score.loss.item() for name, score in scores.items()})
        hits.update({name: int(score.hits) for name, score in scores.items()})
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()  # no backward pass did: weights gathered here would outlive their next change
    terms = {
        name: {"loss": losses[name] / max(1, count), "accuracy": hits[name] / max(1, count), "targets": count}
        for name, count in targets.items()
    }
    first, *others = terms
    return (
        terms[first]
        | {"perplexity": float(np.exp(terms[first]["loss"]))}
        | {f"{name}_{figure}": value for name in others for figure, value in terms[name].items()}
    )
