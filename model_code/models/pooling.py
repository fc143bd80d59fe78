"""From the states of a text's tokens to one vector, in the ways that sentence-transformers has."""

from __future__ import annotations

import torch

# In the order in which sentence-transformers joins the vectors of several of them.
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def poolings_in(names: str) -> list[str]:
    """What `cls+mean` names, in the usual order. Raises ValueError for an unknown or repeated name."""
    named = names.split("+")
    for name in named:
        if name not in POOLINGS or named.count(name) > 1:
            raise ValueError(f"{names!r} names {name!r}; join some of {', '.join(POOLINGS)} by +, each once")
    return [name for name in POOLINGS if name in named]


def pooled(states: torch.Tensor, mask: torch.Tensor, names: str) -> torch.Tensor:
    """One vector per text, float32 [B, D], or as many next to each other as there are `names`.

    Args:
        states: float32 [B, S, D].
        mask: int64 [B, S], 1 for a token; what fills a row up stands behind its tokens.
        names: as in `poolings_in`. Of a mean alone only the direction is right.
    """
    poolings = poolings_in(names)
    if poolings in (["mean"], ["mean_sqrt_len_tokens"]):  # they point where the sum does
        return (states * mask[:, :, None]).sum(dim=1)
    return torch.cat([_pooled(states, mask, name) for name in poolings], dim=-1)


def _pooled(states: torch.Tensor, mask: torch.Tensor, name: str) -> torch.Tensor:
    counts = mask.sum(dim=1, keepdim=True)
    if name == "cls":
        return states[:, 0]
    if name == "lasttoken":
        return states[torch.arange(len(states), device=states.device), counts[:, 0] - 1]
    if name == "max":
        return states.masked_fill(mask[:, :, None] == 0, -torch.inf).amax(dim=1)
    weights = mask.float()
    if name == "weightedmean":  # the later a token, the more it counts
        weights = weights * torch.arange(1, mask.shape[1] + 1, device=mask.device)
        counts = weights.sum(dim=1, keepdim=True)
    parts = counts.sqrt() if name == "mean_sqrt_len_tokens" else counts
    return (states * (weights / parts)[:, :, None]).sum(dim=1)
