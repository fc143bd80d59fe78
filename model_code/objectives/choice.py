"""The objective that a config names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model_code.data.vocabulary import Vocabulary, load_tokenizer
from model_code.data.words import words_of
from model_code.errors import TrainingError
from model_code.models.families import DECODERS, ENCODERS, FAMILIES
from model_code.models.further import model_type_of, objective_name
from model_code.models.stock import StockStack
from model_code.objectives.causal import Causal
from model_code.objectives.masked import Masked
from model_code.objectives.next_sentence import MaskedNextSentence
from model_code.objectives.objective import Objective
from model_code.objectives.span_corruption import SpanCorruption, span_counts

if TYPE_CHECKING:
    from model_code.config.pretraining import PretrainConfig


def objective_of(config: PretrainConfig, vocabulary: Vocabulary, tokenizer: Path | None = None) -> Objective:
    """The objective of a run; the directory `tokenizer` tells where words begin.

    Without it tokens are hidden one by one, which is enough where only the cost of a step counts.

    Raises TrainingError when the vocabulary lacks a token for it, or a checkpoint can't be trained for it.
    """
    name, kind = objective_name(config), model_type_of(config)
    if name == "causal":
        return Causal(DECODERS.get(kind) or StockStack(), config.z_loss)
    if name == "span_corruption":
        return _span_corruption(config, vocabulary)
    surround = ("cls", "sep") if kind in ENCODERS else ()
    vocabulary.need("mask", *surround, why="masked language modelling")
    words = words_of(load_tokenizer(tokenizer)) if config.whole_words and tokenizer else None
    masked = Masked(ENCODERS.get(kind) or StockStack(), vocabulary, config.mask_rate, words, config.z_loss)
    return MaskedNextSentence(masked) if name == "masked_next_sentence" else masked


def filler_of(config: PretrainConfig, vocabulary: Vocabulary) -> int | None:
    """What fills up rows of one document each; None for a family, whose rows are packed.

    Raises TrainingError when the vocabulary has no token that could.
    """
    return None if model_type_of(config) in FAMILIES else vocabulary.filler


def _span_corruption(config: PretrainConfig, vocabulary: Vocabulary) -> SpanCorruption:
    vocabulary.need("pad", "eos", "sentinels", why="span corruption")
    objective = SpanCorruption(vocabulary, config.noise_density, config.mean_span, config.z_loss)
    require_sentinels(
        config.sequence_length, config.noise_density, config.mean_span, len(vocabulary.sentinels)
    )
    return objective


def require_sentinels(sequence_length: int, noise_density: float, mean_span: float, sentinels: int) -> None:
    """Raise TrainingError when the longest document loses more spans than there are sentinels."""
    _, spans = span_counts(sequence_length, noise_density, mean_span)
    if spans > sentinels:
        raise TrainingError(
            f"a document of sequence_length {sequence_length} loses {spans} spans, the tokenizer has "
            f"{sentinels} sentinels (<extra_id_0> ...); lower sequence_length or noise_density, or raise "
            "mean_span"
        )
