"""Cross-entropy over a large vocabulary, in blocks, so that the logits never exist as a whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from model_code.objectives.objective import Score

LOGITS_PER_BLOCK = 2**21
Decode = Callable[[torch.Tensor], torch.Tensor]


def scored(hidden: torch.Tensor, targets: torch.Tensor, decode: Decode, z_loss: float = 0.0) -> Score:
    """Score the guesses for `targets`, int64 [N], that `decode` makes of the hidden states [N, D].

    The penalty is `z_loss` times the squared logarithm of the softmax's denominator (PaLM, Chowdhery et al.
    2022, section 5). On CPU the logits are made in blocks of 8 MB: larger ones are given back to the system
    after each step, and faulting the pages in again cost a tenth of the whole step.
    """
    if not len(targets):
        nothing = hidden.sum() * 0
        return Score(nothing, nothing, nothing.detach())
    rows = len(targets)
    if hidden.device.type == "cpu":
        with torch.no_grad():
            rows = max(1, LOGITS_PER_BLOCK // decode(hidden[:1]).shape[-1])
    blocks = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    parts = [_score(decode(states).float(), block, z_loss) for states, block in blocks]
    return Score(*(torch.stack(column).sum() for column in zip(*parts, strict=True)))


def _score(
    logits: torch.Tensor, targets: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    loss = cross_entropy(logits, targets, reduction="sum")
    none = torch.zeros((), device=logits.device)
    if not torch.is_grad_enabled():
        return loss, none, (logits.argmax(-1) == targets).sum()
    return loss, z_loss * logits.logsumexp(-1).square().sum() if z_loss else none, none
