"""Llama's layout (Touvron et al. 2023, arXiv 2302.13971) with grouped queries, input and output tied.

Rotary positions, RMSNorm, SwiGLU, no biases. `base` and `350m` have the sizes of SmolLM 135M and 360M
(Allal et al. 2024), `1b` those of Llama 3.2 1B.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = LlamaForCausalLM
PRESETS: Mapping[str, Shape] = {
    "tiny": Shape(layers=2, width=128, heads=2, intermediate=384, max_positions=2048),
    "mini": Shape(layers=4, width=256, heads=4, kv_heads=2, intermediate=768, max_positions=2048),
    "small": Shape(layers=8, width=512, heads=8, kv_heads=2, intermediate=1408, max_positions=2048),
    "base": Shape(layers=30, width=576, heads=9, kv_heads=3, intermediate=1536, max_positions=2048),
    "350m": Shape(layers=32, width=960, heads=15, kv_heads=5, intermediate=2560, max_positions=2048),
    "1b": Shape(layers=16, width=2048, heads=32, kv_heads=8, intermediate=8192, max_positions=4096),
}


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
        attention_dropout=shape.dropout,
        tie_word_embeddings=True,
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.eos if vocabulary.bos is None else vocabulary.bos,
        eos_token_id=vocabulary.eos,
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
