"""ModernBERT's layout (Warner et al. 2024, arXiv 2412.13663) at any size.

Rotary positions, gated MLPs, pre-normalisation, no biases, one layer in three with global attention and the
others with a sliding window. At equal compute on two CPU cores this layout left the plateau on which the
classic BERT layout stays for the first millions of tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import ModernBertConfig, ModernBertForMaskedLM, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = ModernBertForMaskedLM
DROPOUT: tuple[str, ...] = ("embedding_dropout", "mlp_dropout", "attention_dropout")
PRESETS = presets.PRESETS["modernbert"]


def build(shape: Shape, vocabulary: Vocabulary) -> ModernBertForMaskedLM:
    """A randomly initialised masked language model, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads of an even width, or the vocabulary
    lacks a token.
    """
    vocabulary.need("pad", "cls", "sep", "mask", why="ModernBERT")
    shape.need_heads(even=True)
    config = ModernBertConfig(
        vocab_size=vocabulary.size,
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.max_positions,
        local_attention=shape.local_attention,
        classifier_pooling="mean",
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.cls,
        cls_token_id=vocabulary.cls,
        eos_token_id=vocabulary.sep,
        sep_token_id=vocabulary.sep,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return ModernBertForMaskedLM(config)


def hidden_states(
    model: Any, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """The last hidden states [B, S, D] of packed rows [B, S]; no token sees another document."""
    masks = {
        "full_attention": document_mask(model, documents),
        "sliding_attention": document_mask(model, documents, window=model.config.local_attention),
    }
    states: torch.Tensor = model.model(
        input_ids=ids, attention_mask=masks, position_ids=positions
    ).last_hidden_state
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of hidden states [N, D]."""
    out: torch.Tensor = model.decoder(model.head(hidden))
    return out
