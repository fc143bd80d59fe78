"""The model that pretraining begins with: a family at random, or any checkpoint that transformers loads.

Families run on packed rows. Every other architecture runs its own forward pass on rows of one document each,
as the class with the head that its checkpoint was pretrained with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
)

from model_code.data.vocabulary import Vocabulary, load_tokenizer
from model_code.errors import TrainingError
from model_code.models.architectures import (
    architectures,
    layer_weights,
    positions_of,
    require_entries,
    writers,
)
from model_code.models.checkpoints import described_in, load_model
from model_code.models.families import FAMILIES, family_named
from model_code.models.folder import check_folder
from model_code.objectives.names import OBJECTIVES

if TYPE_CHECKING:
    from model_code.config.pretraining import PretrainConfig

# transformers' class for a checkpoint that is no family, by what it is trained for.
STOCK: dict[str, Any] = {
    "masked": AutoModelForMaskedLM,
    "causal": AutoModelForCausalLM,
    "span_corruption": AutoModelForSeq2SeqLM,
}
# Settings that only one kind of objective looks at.
OF_OBJECTIVE = {"masked": ("mask_rate", "whole_words"), "span_corruption": ("noise_density", "mean_span")}
# The names that configurations have for dropout between layers and in attention.
DROPOUT = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "hidden_dropout",
    "attention_dropout",
    "dropout",
    "dropout_rate",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
)


def model_type_of(config: PretrainConfig) -> str:
    """The family, or what the checkpoint that the config starts from is.

    Raises TrainingError when the two contradict each other, or the folder holds no checkpoint.
    """
    if not config.start_from:
        return config.family
    found = str(check_folder(Path(config.start_from), f"start_from {config.start_from}")["model_type"])
    if config.family and config.family != found:
        raise TrainingError(
            f"start_from {config.start_from} is a model of the family {found}, family is {config.family}; "
            "leave family out, or name a checkpoint of that family"
        )
    return found


def objective_name(config: PretrainConfig) -> str:
    """What the model is trained for. Raises TrainingError for an objective that it can't be trained for."""
    kind = model_type_of(config)
    possible = OBJECTIVES.get(kind) or _of_stock(kind)
    if not possible:
        raise TrainingError(
            f"start_from {config.start_from}: transformers has no {kind} that guesses words, so it can't be "
            "pretrained further; fine-tune it as it is (fine_tune.start_from)"
        )
    if config.objective and config.objective not in possible:
        raise TrainingError(
            f"start_from {config.start_from} is a {kind}, which can't be trained for objective "
            f"{config.objective}; it can for {', '.join(possible)}"
        )
    objective = config.objective or possible[0]
    if config.start_from and (idle := _idle(config, objective)):
        raise TrainingError(
            f"{idle} changes nothing for objective {objective}, which the checkpoint in start_from "
            f"{config.start_from} is trained for; leave it out"
        )
    return objective


def _idle(config: PretrainConfig, objective: str) -> str:
    """A setting of another objective that has another value than usual; "" where there is none."""
    usual = type(config).model_fields
    others = (names for name, names in OF_OBJECTIVE.items() if not objective.startswith(name))
    named = (name for names in others for name in names)
    return next((name for name in named if getattr(config, name) != usual[name].default), "")


def _of_stock(kind: str) -> tuple[str, ...]:
    if kind in architectures(AutoModelForSeq2SeqLM):
        return ("span_corruption",)
    if kind in architectures(AutoModelForMaskedLM):
        return ("masked",)
    return ("causal",) if kind in writers() else ()


def initial_model(config: PretrainConfig, vocabulary: Vocabulary) -> PreTrainedModel:
    """The float32 model that training begins with: random, or the checkpoint in the folder `start_from`.

    A checkpoint brings its own sizes. Heads that it lacks are random and named on stderr. Raises
    TrainingError when it is damaged, of another family, or has no rows for the vocabulary.
    """
    if not config.start_from:
        return family_named(config.family).build(config.shape, vocabulary)
    kind, changed = _class_and_changes(config)
    model: PreTrainedModel = load_model(Path(config.start_from), kind, **changed)
    require_entries(model, vocabulary.size)
    return model


def unloaded_model(config: PretrainConfig, vocabulary: Vocabulary) -> PreTrainedModel:
    """The architecture of `initial_model` with random weights, for counting under fake or meta tensors.

    Raises TrainingError like it, but looks at no weights.
    """
    if not config.start_from:
        return family_named(config.family).build(config.shape, vocabulary)
    kind, changed = _class_and_changes(config)
    described = described_in(Path(config.start_from))
    described._attn_implementation = changed.pop("attn_implementation", None)
    for name, value in changed.items():
        setattr(described, name, value)
    make = kind.from_config if kind in STOCK.values() else kind._from_config
    model: PreTrainedModel = make(described, dtype=torch.float32)
    require_entries(model, vocabulary.size)
    return model


def _class_and_changes(config: PretrainConfig) -> tuple[Any, dict[str, Any]]:
    """The class to load a checkpoint as, and what of its configuration is to be otherwise."""
    name, objective = model_type_of(config), objective_name(config)
    if family := FAMILIES.get(name):
        kind, names, changed = family.PRETRAINED, family.DROPOUT, {"attn_implementation": "sdpa"}
    else:
        described = described_in(Path(config.start_from))
        names = tuple(known for known in DROPOUT if hasattr(described, known))
        kind, changed = STOCK[objective], {}
        if config.dropout and not names:
            raise TrainingError(
                f"dropout {config.dropout} changes nothing: a {name} ({config.start_from}) has none; leave "
                "it out"
            )
    return kind, changed | ({} if config.dropout is None else dict.fromkeys(names, config.dropout))


def with_rates(config: PretrainConfig, vocabulary: Vocabulary) -> PretrainConfig:
    """The config with a value for each rate that is not set, by the size of the model."""
    if config.learning_rate and config.muon_learning_rate:
        return config
    with torch.device("meta"):
        return config.settled(layer_weights(unloaded_model(config, vocabulary)))


def require_positions(model: PreTrainedModel, sequence_length: int) -> None:
    """Raise TrainingError when sequences are longer than the positions of the model; T5's are unlimited."""
    positions = positions_of(model)
    if positions is not None and sequence_length > positions:
        raise TrainingError(
            f"sequence_length {sequence_length} is more than the {positions} positions of the model; "
            "lower it, or raise max_positions of a model that starts at random"
        )


def require_own_tokenizer(start_from: str, tokenizer: Tokenizer, name: str = "the corpus' tokenizer") -> None:
    """Raise TrainingError when an id of the tokenizer stands for something else in the checkpoint's own."""
    theirs = {number: entry for entry, number in load_tokenizer(Path(start_from)).get_vocab().items()}
    for entry, number in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
        if theirs.get(number, entry) != entry:
            raise TrainingError(
                f"{name} has {entry!r} for the id {number}, and the tokenizer of the checkpoint "
                f"{theirs[number]!r}; the model would read other words than it knows. Take the "
                "checkpoint's own: leave out tokenize.pretrained, or name the folder of pretrain.start_from"
            )


def check_start(config: PretrainConfig, vocabulary: Vocabulary) -> int | None:
    """Refuse a checkpoint that a training could not start from, as far as all but its weights tell it.

    Returns its positions; None where they have no end.

    Raises TrainingError when it can't be used with this config and vocabulary.
    """
    with torch.device("meta"):
        model = unloaded_model(config, vocabulary)
    require_positions(model, config.sequence_length)
    return positions_of(model)
