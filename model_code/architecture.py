"""The encoder: ModernBERT's layout (Warner et al. 2024, arXiv 2412.13663) at any size.

Rotary positions, gated MLPs, pre-normalisation, no biases, one layer in three with global
attention and the others with a sliding window. At equal compute on two CPU cores this layout
left the plateau on which the classic BERT layout stays for the first millions of tokens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from transformers import ModernBertConfig, ModernBertForMaskedLM, PreTrainedModel

from model_code.errors import TrainingError
from model_code.runtime import Runtime
from model_code.vocabulary import Vocabulary


@dataclass(frozen=True)
class Shape:
    """Size of an encoder; `local_attention` is the whole window in tokens, both sides together."""

    layers: int
    width: int
    heads: int
    intermediate: int
    max_positions: int
    local_attention: int


def masked_lm(shape: Shape, vocabulary: Vocabulary, seed: int) -> ModernBertForMaskedLM:
    """A randomly initialised masked language model; the same seed gives the same weights.

    Raises TrainingError when the width can't be divided into heads of an even width.
    """
    if shape.width % (2 * shape.heads):
        raise TrainingError(
            f"width {shape.width} does not divide into {shape.heads} heads of an even width "
            "(rotary positions turn pairs); make width a multiple of 2 x heads"
        )
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
    )
    torch.manual_seed(seed)
    config._attn_implementation = "sdpa"
    return ModernBertForMaskedLM(config)


@contextmanager
def fast_attention(model: PreTrainedModel, runtime: Runtime) -> Iterator[None]:
    """Train with the quicker kernels of the device, then hand the model back as it was.

    On CPU at a length of 128 plain matrix products train 1.3 times faster than the fused SDPA
    kernel, whose backward pass is slow there. On CUDA the layers are compiled one by one, in place.
    """
    if runtime.device.type == "cpu":
        model.set_attn_implementation("eager")
    else:
        for layer in cast(torch.nn.Module, model.base_model.layers).children():
            layer.compile(dynamic=True)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")
