"""Llama's layout (Touvron et al. 2023, arXiv 2302.13971) with grouped queries, input and output tied.

Rotary positions, RMSNorm, SwiGLU, no biases.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = LlamaForCausalLM
DROPOUT: tuple[str, ...] = ("attention_dropout",)
PRESETS = presets.PRESETS["llama"]


def build(shape: Shape, vocabulary: Vocabulary) -> LlamaForCausalLM:
    """A randomly initialised language model, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads of an even width or the heads not into
    groups, or the vocabulary lacks a token.
    """
    vocabulary.need("eos", why="Llama")
    shape.need_heads(even=True)
    config = LlamaConfig(
        vocab_size=vocabulary.size,
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads or shape.heads,
        max_position_embeddings=shape.max_positions,
        tie_word_embeddings=True,
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.eos if vocabulary.bos is None else vocabulary.bos,
        eos_token_id=vocabulary.eos,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return LlamaForCausalLM(config)


def hidden_states(
    model: Any, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """The last hidden states [B, S, D] of packed rows [B, S]; a token sees its document up to itself."""
    states: torch.Tensor = model.model(
        input_ids=ids,
        attention_mask=document_mask(model, documents, causal=True),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of hidden states [N, D]."""
    out: torch.Tensor = model.lm_head(hidden)
    return out
