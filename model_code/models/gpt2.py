"""GPT-2 (Radford et al. 2019): a decoder with learned positions, LayerNorm and GELU, output tied to input."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import FLEX, document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = GPT2LMHeadModel
DROPOUT: tuple[str, ...] = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
PRESETS = presets.PRESETS["gpt2"]


def build(shape: Shape, vocabulary: Vocabulary) -> GPT2LMHeadModel:
    """A randomly initialised language model, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads, or the vocabulary lacks a token.
    """
    vocabulary.need("eos", why="GPT-2")
    shape.need_heads()
    config = GPT2Config(
        vocab_size=vocabulary.size,
        n_embd=shape.width,
        n_inner=shape.intermediate,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_positions=shape.max_positions,
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.eos if vocabulary.bos is None else vocabulary.bos,
        eos_token_id=vocabulary.eos,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return GPT2LMHeadModel(config)


def hidden_states(
    model: Any, ids: torch.Tensor, documents: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """The last hidden states [B, S, D] of packed rows [B, S]; a token sees its document up to itself."""
    flexible = model.config._attn_implementation == FLEX
    states: torch.Tensor = model.transformer(
        input_ids=ids,
        # GPT2Model trips over a mask of blocks, but builds the same one itself where positions start anew.
        attention_mask=None if flexible else document_mask(model, documents, causal=True),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of hidden states [N, D]."""
    out: torch.Tensor = model.lm_head(hidden)
    return out
