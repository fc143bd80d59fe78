"""T5 (Raffel et al. 2020, arXiv 1910.10683) with the gated GELU of its version 1.1 (Shazeer 2020).

Positions are relative, so packing does not move them. transformers ties input and output embeddings in every
T5, hence the sizes of version 1.1 with the tied, scaled output of version 1.0.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel, T5Config, T5ForConditionalGeneration

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = T5ForConditionalGeneration
DROPOUT: tuple[str, ...] = ("dropout_rate",)
PRESETS = presets.PRESETS["t5"]


def build(shape: Shape, vocabulary: Vocabulary) -> T5ForConditionalGeneration:
    """A randomly initialised encoder-decoder, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads, or the vocabulary lacks a token.
    """
    vocabulary.need("pad", "eos", "sentinels", why="T5")
    shape.need_heads()
    not_declared: dict[str, Any] = {  # fields of published T5 configs that T5Config only passes on
        "n_positions": shape.max_positions,
        "decoder_start_token_id": vocabulary.pad,
    }
    config = T5Config(
        vocab_size=vocabulary.size,
        d_model=shape.width,
        d_kv=shape.width // shape.heads,
        d_ff=shape.intermediate,
        num_layers=shape.layers,
        num_heads=shape.heads,
        feed_forward_proj="gated-gelu",
        pad_token_id=vocabulary.pad,
        eos_token_id=vocabulary.eos,
        **not_declared,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return T5ForConditionalGeneration(config)


def hidden_states(
    model: Any,
    ids: torch.Tensor,
    documents: torch.Tensor,
    decoder_ids: torch.Tensor,
    decoder_documents: torch.Tensor,
) -> torch.Tensor:
    """The decoder's last hidden states [B, T, D] of packed rows: encoder [B, S] and decoder [B, T].

    A token of the decoder sees what precedes it in its document, and in the encoder the document of the same
    number. A number that the encoder lacks (padding) sees some state or other, never a NaN.
    """
    encoded = model.encoder(input_ids=ids, attention_mask=document_mask(model, documents)).last_hidden_state
    states: torch.Tensor = model.decoder(
        input_ids=decoder_ids,
        attention_mask=document_mask(model, decoder_documents, causal=True),
        encoder_hidden_states=encoded,
        encoder_attention_mask=document_mask(model, decoder_documents, documents),
        use_cache=False,
    ).last_hidden_state
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of the decoder's hidden states [N, D]."""
    out: torch.Tensor = model.lm_head(hidden * output_scale(model))
    return out


def output_scale(model: Any) -> float:
    """What the decoder's states are multiplied by before they meet the output embeddings."""
    return float(model.model_dim**-0.5) if model.config.scale_decoder_outputs else 1.0
