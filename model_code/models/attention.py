"""What a token may see: its own document, and of it what lies before (causal) or near (a window).

transformers hands a mask of four dimensions through to its attention as it stands, for every family. Which
form it wants depends on the implementation: additive numbers for `eager`, booleans for `sdpa`.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel


def document_mask(
    model: PreTrainedModel,
    queries: torch.Tensor,
    keys: torch.Tensor | None = None,
    causal: bool = False,
    window: int | None = None,
) -> torch.Tensor:
    """A mask [B, 1, Q, K] for document numbers `queries` [B, Q] and `keys` [B, K] (None: the same).

    A window of w tokens lets a token see w // 2 tokens on either side, as ModernBERT counts it.
    """
    keys = queries if keys is None else keys
    seen = queries[:, :, None] == keys[:, None, :]
    if causal or window is not None:
        distance = torch.arange(seen.shape[1], device=seen.device)[:, None] - torch.arange(
            seen.shape[2], device=seen.device
        )
        if causal:
            seen &= distance >= 0
        if window is not None:
            seen &= distance.abs() <= window // 2
    seen = seen[:, None]
    if model.config._attn_implementation == "eager":
        lowest = torch.finfo(model.dtype).min
        return torch.zeros(seen.shape, dtype=model.dtype, device=seen.device).masked_fill_(~seen, lowest)
    return seen
