"""Marian (Junczys-Dowmunt et al. 2018, arXiv 1804.00344): the Transformer of Vaswani et al. 2017.

Its states say where a token stands. T5's don't: it knows how far two tokens of a stack are apart, and its
decoder nothing of where the encoder's stand. So Marian learns from fewer pairs which word answers to which
(docs/decisions.md has the figures). The positions are computed, not learnt.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import dropout
from transformers import MarianConfig, MarianMTModel, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = MarianMTModel
DROPOUT: tuple[str, ...] = ("dropout", "attention_dropout", "activation_dropout")
PRESETS = presets.PRESETS["marian"]


def build(shape: Shape, vocabulary: Vocabulary) -> MarianMTModel:
    """A randomly initialised encoder-decoder, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads, or the vocabulary lacks a token.
    """
    vocabulary.need("pad", "eos", "sentinels", why="Marian")
    shape.need_heads()
    assert vocabulary.pad is not None
    config = MarianConfig(
        vocab_size=vocabulary.size,
        d_model=shape.width,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.intermediate,
        decoder_ffn_dim=shape.intermediate,
        max_position_embeddings=shape.max_positions,
        scale_embedding=True,
        pad_token_id=vocabulary.pad,
        eos_token_id=vocabulary.eos,
        decoder_start_token_id=vocabulary.pad,
        forced_eos_token_id=None,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return MarianMTModel(config)


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
    encoder, decoder = model.model.encoder, model.model.decoder
    encoded = _embedded(encoder, ids, documents)
    mask = document_mask(model, documents)
    for layer in encoder.layers:
        encoded = layer(encoded, mask)
    states = _embedded(decoder, decoder_ids, decoder_documents)
    own = document_mask(model, decoder_documents, causal=True)
    other = document_mask(model, decoder_documents, documents)
    for layer in decoder.layers:
        states = layer(states, own, encoded, encoder_attention_mask=other, use_cache=False)
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of the decoder's hidden states [N, D]."""
    out: torch.Tensor = model.lm_head(hidden) + model.final_logits_bias
    return out


def output_scale(model: Any) -> float:
    """What the decoder's states are multiplied by before they meet the output embeddings."""
    return 1.0


def _embedded(stack: Any, ids: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Tokens with their positions, float [B, S, D]; transformers' own stacks count along the row."""
    # A part of a document that fills all positions is one token longer when it has got its end token.
    places = _positions(documents).clamp(max=stack.embed_positions.num_embeddings - 1)
    states = stack.embed_tokens(ids) * stack.embed_scale
    states = states + stack.embed_positions(ids.shape, position_ids=places)
    return dropout(states, p=stack.dropout, training=stack.training)


def _positions(documents: torch.Tensor) -> torch.Tensor:
    """Each token's place in its document, int64 [B, S]."""
    places = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return places - places.where(begins, 0).cummax(1).values
