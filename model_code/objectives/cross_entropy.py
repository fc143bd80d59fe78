"""Cross-entropy over a large vocabulary, in blocks of rows, so that the logits never exist as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from model_code.objectives.objective import Score

# CPU: 8 MB of bfloat16, what the caches hold. CUDA: 5,300 rows of GPT-2's vocabulary, 0.5 GB of bfloat16.
LOGITS_PER_BLOCK = {"cpu": 2**22, "cuda": 2**28}
Decode = Callable[[torch.Tensor], torch.Tensor]
Losses = Callable[[torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


def scored(hidden: torch.Tensor, targets: torch.Tensor, decode: Decode, z_loss: float = 0.0) -> Score:
    """Score the guesses for `targets`, int64 [N], that `decode` makes of the hidden states [N, D].

    The penalty is `z_loss` times the squared logarithm of the softmax's denominator (PaLM, Chowdhery et al.
    2022, section 5).
    """
    if not len(targets):
        # The head takes part all the same: ranks that exchange gradients wait for those of every weight.
        nothing = hidden.sum() * 0 + decode(hidden.new_zeros(1, hidden.shape[-1])).sum() * 0
        return Score(nothing, nothing, nothing.detach())
    with torch.no_grad():
        rows = max(1, LOGITS_PER_BLOCK[hidden.device.type] // decode(hidden[:1]).shape[-1])
    # A device's memory is short: several blocks keep nothing and make their logits again for the gradients.
    recompute = hidden.device.type == "cuda" and len(targets) > rows
    return in_blocks(hidden, targets, decode, z_loss, rows, recompute)


def in_blocks(
    hidden: torch.Tensor, targets: torch.Tensor, decode: Decode, z_loss: float, rows: int, recompute: bool
) -> Score:
    """What `scored` returns, `rows` at a time; with `recompute`, gradients cost a second `decode`."""
    training = torch.is_grad_enabled()
    measured = _quickest(hidden.device, z_loss)

    def block_of(states: torch.Tensor, block: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = decode(states)
        if training:
            return *measured(logits, block, z_loss), torch.zeros((), device=logits.device)
        logits = logits.float()  # on CPU the largest of bfloat16 numbers takes four times as long to find
        return *losses(logits, block, 0.0), (logits.argmax(-1) == block).sum()

    parts = [
        checkpoint(block_of, *pair, use_reentrant=False, preserve_rng_state=False)
        if training and recompute
        else block_of(*pair)
        for pair in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    ]
    return Score(*(torch.stack(column).sum() for column in zip(*parts, strict=True)))


def losses(logits: torch.Tensor, targets: torch.Tensor, z_loss: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of cross-entropy and of z-loss, float32, for logits [N, vocabulary] of any precision."""
    logits = logits.float()
    loss = cross_entropy(logits, targets, reduction="none")
    if not z_loss:
        return loss.sum(), loss.new_zeros(())
    # -log softmax = log denominator - logit
    log_denominator = loss + logits.gather(1, targets[:, None]).squeeze(1)
    return loss.sum(), z_loss * log_denominator.square().sum()


def _quickest(device: torch.device, z_loss: float) -> Losses:
    if device.type == "cuda":
        return _compiled()
    return losses if z_loss else _loss_alone


def _loss_alone(
    logits: torch.Tensor, targets: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    loss: torch.Tensor = _Loss.apply(logits, targets)  # type: ignore[no-untyped-call]
    return loss, loss.new_zeros(())


class _Loss(torch.autograd.Function):
    """The sum of cross-entropy, with its gradient made on the way and kept in the precision of the logits.

    Left to autograd, the logits would be copied to float32, kept, and exponentiated twice.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        at = targets[:, None]
        probabilities = logits.softmax(-1, dtype=torch.float32)
        # log denominator = logit - log softmax, for the largest, whose probability is never tiny
        log_denominator = logits.amax(-1).float() - probabilities.amax(-1).log()
        loss = log_denominator - logits.gather(1, at).squeeze(1)
        probabilities.scatter_(1, at, probabilities.gather(1, at) - 1)
        ctx.save_for_backward(probabilities.to(logits.dtype))
        return loss.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None


@cache
def _compiled() -> Losses:
    """One kernel each way that keeps the logits in their own precision; step by step, six pass over them."""
    return torch.compile(losses, dynamic=True)
