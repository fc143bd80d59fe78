"""BERT as published (Devlin et al. 2019, arXiv 1810.04805): learned positions, post-normalisation, two heads.

One head guesses hidden tokens, the other whether two texts followed each other; without next-sentence
prediction the second gets no gradient and stays as it was.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import BertConfig, BertForPreTraining, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.models import presets
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

PRETRAINED: type[PreTrainedModel] = BertForPreTraining
DROPOUT: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
PRESETS = presets.PRESETS["bert"]


def build(shape: Shape, vocabulary: Vocabulary) -> BertForPreTraining:
    """A randomly initialised model with both heads, by the global random numbers of torch.

    Raises TrainingError when the width can't be divided into heads, or the vocabulary lacks a token.
    """
    vocabulary.need("pad", "cls", "sep", "mask", why="BERT")
    shape.need_heads()
    config = BertConfig(
        vocab_size=vocabulary.size,
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.max_positions,
        pad_token_id=vocabulary.pad,
        **shape.dropouts(DROPOUT),
    )
    config._attn_implementation = "sdpa"
    return BertForPreTraining(config)


def hidden_states(
    model: Any,
    ids: torch.Tensor,
    documents: torch.Tensor,
    positions: torch.Tensor,
    token_types: torch.Tensor | None = None,
) -> torch.Tensor:
    """The last hidden states [B, S, D] of packed rows [B, S]; no token sees another document.

    `token_types` [B, S] are 0 in the first text of a pair and 1 in the second (None: all 0).
    """
    embedded = model.bert.embeddings(
        input_ids=ids,
        position_ids=positions,
        token_type_ids=torch.zeros_like(ids) if token_types is None else token_types,
    )
    # Not through BertModel, which would pool the first token of every row.
    states: torch.Tensor = model.bert.encoder(
        embedded, attention_mask=document_mask(model, documents)
    ).last_hidden_state
    return states


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, vocabulary] of hidden states [N, D]."""
    out: torch.Tensor = model.cls.predictions(hidden)
    return out


def sentence_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [N, 2] of the hidden states [N, D] at [CLS]; 0: the second text followed, 1: it is another."""
    pooled = model.bert.pooler(hidden[:, None])  # takes the first token of each of N sequences
    out: torch.Tensor = model.cls.seq_relationship(pooled)
    return out
