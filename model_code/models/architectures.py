"""Checkpoints that were not made here: which tasks they can do, how far they read, what of them is new.

transformers knows which architecture has which head, so nothing of that is listed here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForTextEncoding,
    PreTrainedModel,
)

from model_code.errors import TrainingError
from model_code.models.kernels import repeated_layers

NAMED = 3  # weights that a line names; the figures have all


def architectures(kind: Any) -> tuple[str, ...]:
    """The model types that transformers has as `kind`, one of its Auto classes; sorted."""
    return tuple(sorted(kind._model_mapping._model_mapping))


def text_models() -> tuple[str, ...]:
    """The model types that give a vector for each token of a text; sorted."""
    readers = (AutoModelForMaskedLM, AutoModelForTextEncoding, AutoModelForCausalLM, AutoModelForSeq2SeqLM)
    of_text = {name for kind in readers for name in architectures(kind)}
    return tuple(sorted(of_text.intersection(architectures(AutoModel))))


def writers() -> tuple[str, ...]:
    """The model types that write on from a text, sorted; an encoder with such a head sees what follows."""
    readers = {*architectures(AutoModelForMaskedLM), *architectures(AutoModelForSeq2SeqLM)}
    return tuple(name for name in architectures(AutoModelForCausalLM) if name not in readers)


def encoder_of(model: Any) -> Any:
    """What reads a text: the encoder of an encoder-decoder, any other model itself."""
    return model.get_encoder() if model.config.is_encoder_decoder else model


def positions_of(model: Any) -> int | None:
    """How many tokens the model tells apart by their places; None where they have no end.

    RoBERTa and its kin count from behind the padding's row, so that 514 positions are those of 512 tokens.
    """
    known = [getattr(model.config, "max_position_embeddings", None)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            known.append(module.num_embeddings - first)
    found = [positions for positions in known if isinstance(positions, int) and positions > 0]
    return min(found, default=None)


def layer_weights(model: nn.Module) -> int:
    """The weights of a model without its tables of embeddings, by which rates are chosen."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return sum(p.numel() for p in model.parameters() if id(p) not in tables)


def require_entries(model: PreTrainedModel, entries: int) -> None:
    """Raise TrainingError when the tokenizer has more entries than the model has rows for them."""
    table: Any = model.get_input_embeddings()
    rows = table.num_embeddings
    if entries > rows:
        raise TrainingError(
            f"the tokenizer has {entries} entries and the model rows for {rows}: it is the tokenizer of "
            "another model; copy the files of both from the same checkpoint"
        )


def freeze_lowest(model: nn.Module, layers: int) -> None:
    """Leave the embeddings and the first `layers` as they are, of an encoder-decoder those of the encoder.

    Raises TrainingError when the model has fewer.
    """
    stacked = repeated_layers(model)
    if layers > len(stacked):
        raise TrainingError(f"freeze is {layers}, and the model has {len(stacked)} layers; lower it")
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    for part in [*tables, *stacked[:layers]]:
        part.requires_grad_(False)


def note_weights(model: Any, source: object, info: dict[str, Any]) -> None:
    """Keep and say which weights of a loaded model begin at random and which of its checkpoint are left out.

    Raises TrainingError when what is missing is no head, or the pretrained part holds numbers that aren't.
    """
    if foreign := body_lacks(model, info):
        raise TrainingError(
            f"{source}: the checkpoint lacks {len(foreign)} weights of the model, {foreign[0]} among them; "
            "copy its folder again"
        )
    has_head = model.base_model is not model
    random = [name for name in _begin_at_random(info) if has_head or "pooler" not in name]
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise TrainingError(f"{source}: {name} holds numbers that are not finite; copy its folder again")
    model.random_weights, model.left_weights = random, sorted(info["unexpected_keys"])
    for names, said in ((random, "at random begin"), (model.left_weights, "left out are")):
        if names:
            print(f"{source}: {said} {_told(names)}", file=sys.stderr)


def body_lacks(model: Any, info: dict[str, Any]) -> list[str]:
    """The weights below a model's head that its checkpoint lacks; what pools is part of a head."""
    if not (random := _begin_at_random(info)):
        return []
    auto: Any = AutoModel  # it carries no types
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        plain = auto.from_config(model.config)
    # Positions that are computed, as Marian's and Pegasus's, are no part of a checkpoint.
    learnt = (name for name, weight in plain.named_parameters() if weight.requires_grad)
    names = [name for name in learnt if "pooler" not in name]
    body = {prefix + name for name in names for prefix in ("", f"{model.base_model_prefix}.")}
    return [name for name in random if name in body]


def _begin_at_random(info: dict[str, Any]) -> list[str]:
    return sorted({*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})


def _told(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
