"""Packed rows of random documents, a vocabulary with every role, and a small model of every family."""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.models import bert, gpt2, llama, modernbert
from model_code.models.families import family_named
from model_code.models.shape import Shape
from model_code.objectives.causal import Causal
from model_code.objectives.masked import Masked
from model_code.objectives.next_sentence import MaskedNextSentence
from model_code.objectives.objective import Objective
from model_code.objectives.span_corruption import SpanCorruption

VOCABULARY = Vocabulary(
    size=200, pad=0, unk=1, cls=2, sep=3, mask=4, bos=5, eos=6, sentinels=tuple(range(199, 169, -1))
)
OBJECTIVES: dict[tuple[str, str], Objective] = {
    ("modernbert", "masked"): Masked(modernbert, VOCABULARY, 0.3),
    ("bert", "masked"): Masked(bert, VOCABULARY, 0.15),
    ("bert", "masked_next_sentence"): MaskedNextSentence(Masked(bert, VOCABULARY, 0.15)),
    ("gpt2", "causal"): Causal(gpt2),
    ("llama", "causal"): Causal(llama),
    ("t5", "span_corruption"): SpanCorruption(VOCABULARY),
    ("marian", "span_corruption"): SpanCorruption(VOCABULARY),
}
SHAPE = Shape(layers=3, width=32, heads=4, intermediate=48, max_positions=64, local_attention=8, kv_heads=2)
COLUMNS = 48
LENGTHS = [(20, 28), (48,), (5, 16, 27), (1, 2, 45), (17, 16, 15), (48,)]


def packed_rows(lengths: list[tuple[int, ...]] = LENGTHS, seed: int = 0) -> Rows:
    """Rows of documents of these lengths; the last one of each row is cut, the others end with </s>."""
    numbers = np.random.default_rng(seed)
    ids = numbers.integers(7, 170, (len(lengths), sum(lengths[0])))
    documents = np.stack([np.repeat(np.arange(len(row)), row) for row in lengths])
    positions = np.stack([np.concatenate([np.arange(length) for length in row]) for row in lengths])
    ids[:, :-1][documents[:, 1:] != documents[:, :-1]] = VOCABULARY.eos
    source = numbers.integers(7, 170, 5000)
    packed = map(torch.from_numpy, (ids, documents, positions))
    return Rows(*packed, np.arange(len(lengths)), source)


def noise(rows: Rows, step: int = 0) -> Noise:
    return Noise(0, step, rows.places)


def small_model(family: str, attention: str = "sdpa") -> PreTrainedModel:
    torch.manual_seed(0)
    model = family_named(family).build(SHAPE, VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():  # fresh models guess evenly, whatever they see
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.set_attn_implementation(attention)
    return model.train(False)
