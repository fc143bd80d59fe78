"""Any architecture that is no family, by its own forward pass: rows of one document each, filled up.

Of the rows it gives logits right away, which stand for the states that a family gives: there is no common way
to the head of a model.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

from model_code.data.batches import NO_DOCUMENT


class _Stock:
    def logits(self, model: Any, hidden: torch.Tensor) -> torch.Tensor:
        """The logits [N, vocabulary], which they are already."""
        return hidden


class StockStack(_Stock):
    """An encoder or a decoder alone."""

    def hidden_states(
        self, model: Any, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """The logits [B, S, vocabulary] of rows [B, S]; a model counts positions by itself."""
        # Keys and values are kept for those that write on.
        kept = {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}
        logits: torch.Tensor = model(input_ids=ids, attention_mask=_mask(documents), **kept).logits
        return logits


class StockEncoderDecoder(_Stock):
    """An encoder, and a decoder that reads it."""

    def hidden_states(
        self,
        model: Any,
        ids: torch.Tensor,
        documents: torch.Tensor,
        decoder_ids: torch.Tensor,
        decoder_documents: torch.Tensor,
    ) -> torch.Tensor:
        """The decoder's logits [B, T, vocabulary] of rows [B, S] and [B, T]."""
        logits: torch.Tensor = model(
            input_ids=ids,
            attention_mask=_mask(documents),
            decoder_input_ids=decoder_ids,
            decoder_attention_mask=_mask(decoder_documents),
            use_cache=False,
        ).logits
        return logits


def _mask(documents: torch.Tensor) -> torch.Tensor:
    mask = (documents != NO_DOCUMENT).long()
    mask[:, 0] = 1  # a row without a document would have nothing to look at, and NaN to show for it
    return mask
