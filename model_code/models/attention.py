"""What a token may see: its own document, and of it what lies before (causal) or near (a window).

transformers hands a mask of four dimensions through to its attention as it stands, for every family. Which
form it wants depends on the implementation: additive numbers for `eager`, booleans for `sdpa`, and for
`flex_attention` (Dong et al. 2024, arXiv 2412.05496) blocks, of which it skips the ones that nobody sees.
"""

from __future__ import annotations

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import PreTrainedModel


def document_mask(
    model: PreTrainedModel,
    queries: torch.Tensor,
    keys: torch.Tensor | None = None,
    causal: bool = False,
    window: int | None = None,
) -> torch.Tensor | BlockMask:
    """A mask [B, 1, Q, K] for document numbers `queries` [B, Q] and `keys` [B, K] (None: the same).

    A window of w tokens lets a token see w // 2 tokens on either side, as ModernBERT counts it.
    """
    keys = queries if keys is None else keys
    device, (rows, length), width = queries.device, queries.shape, keys.shape[1]

    def seen(
        row: torch.Tensor, head: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        allowed = queries[row, query] == keys[row, key]
        if causal:
            allowed = allowed & (key <= query)
        if window is not None:
            allowed = allowed & ((key - query).abs() <= window // 2)
        return allowed

    implementation = model.config._attn_implementation
    if implementation == "flex_attention":
        return create_block_mask(seen, rows, None, length, width, device=device)
    each_row, each_query, each_key = (torch.arange(size, device=device) for size in (rows, length, width))
    mask = seen(each_row[:, None, None, None], None, each_query[:, None], each_key)
    if implementation == "eager":
        lowest = torch.finfo(model.dtype).min
        return torch.zeros(mask.shape, dtype=model.dtype, device=device).masked_fill_(~mask, lowest)
    return mask
