"""What a token may see: its own document, and of it what lies before (causal) or near (a window).

transformers hands a mask of four dimensions through to its attention as it stands, for every family. Which
form it wants depends on the implementation: additive numbers for `eager`, booleans for `sdpa`, and for
`flex_attention` (Dong et al. 2024, arXiv 2412.05496) blocks, of which it skips the ones that nobody sees.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.masking_utils import flex_attention_mask

# transformers' flex_attention with one type for all that it multiplies; under a name of its own GPT-2, whose
# attention goes through the same interface without being declared for it, can have it too.
FLEX = "flex_in_one_type"


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
    if implementation == FLEX:
        return create_block_mask(seen, rows, None, length, width, device=device)
    each_row, each_query, each_key = (torch.arange(size, device=device) for size in (rows, length, width))
    mask = seen(each_row[:, None, None, None], None, each_query[:, None], each_key)
    if implementation == "eager":
        lowest = torch.finfo(model.dtype).min
        return torch.zeros(mask.shape, dtype=model.dtype, device=device).masked_fill_(~mask, lowest)
    return mask


def _flex_attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **options: Any
) -> tuple[torch.Tensor, torch.Tensor | None]:
    # Under autocast Llama turns queries and keys in float32; sdpa evens that out itself.
    return flex_attention_forward(module, query.to(value.dtype), key.to(value.dtype), value, *rest, **options)


AttentionInterface.register(FLEX, _flex_attention)
AttentionMaskInterface.register(FLEX, flex_attention_mask)
