"""A model that writes, a token at a time: what a step is given and what it hands to the next one.

The keys and values of what was read so far are one tensor, [B, 2 L, H, P, D], of L layers the keys and the
values in turn: one tensor instead of a pair for each layer takes a third less time for each token
(docs/decisions.md). An encoder-decoder has a second one, of what its encoder read, which never changes.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from model_code.errors import TrainingError


def first_step(model: Any, source_ids: torch.Tensor, source_mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Read a source [B, S] and begin a text.

    Returns `logits` of its first token, float32 [B, V], `past` [B, 2 L, H, 1, D], `cross` [B, 2 L, H, S, D].
    """
    start = begin_of(model)
    begun = torch.full_like(source_ids[:, :1], start)
    states = model.get_encoder()(input_ids=source_ids, attention_mask=source_mask).last_hidden_state
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    said = model(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        attention_mask=source_mask,
        decoder_input_ids=begun,
        cache=cache,
        use_cache=True,
    )
    return {
        "logits": said.logits[:, -1].float(),
        "past": _stacked(cache.self_attention_cache),
        "cross": _stacked(cache.cross_attention_cache),
    }


def next_step(
    model: Any,
    token_ids: torch.Tensor,
    source_mask: torch.Tensor,
    past: torch.Tensor,
    cross: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Go on by one token, [B, 1]; returns `logits`, float32 [B, V], and `past` with a place more."""
    cache = EncoderDecoderCache(_parted(past), _parted(cross))
    cache.is_updated = dict.fromkeys(range(cross.shape[1] // 2), True)
    width = model.get_input_embeddings().weight.shape[1]
    # Only asked whether it is there: its keys and values are in `cross`.
    states = cross.new_zeros((cross.shape[0], cross.shape[3], width))
    said = model(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        attention_mask=source_mask,
        decoder_input_ids=token_ids,
        cache=cache,
        use_cache=True,
    )
    return {"logits": said.logits[:, -1].float(), "past": _stacked(cache.self_attention_cache)}


def after_prompt(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    position_ids: torch.Tensor,
    past: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Read tokens [B, T] after others, of which `past` [B, 2 L, H, P, D] holds the keys and values.

    Rows are right-aligned: `attention_mask` [B, P + T] is 0 before the first token of each, `position_ids`
    [B, T] count from there. Returns `logits` of the token after the last one, float32 [B, V], and `new_past`
    [B, 2 L, H, P + T, D].
    """
    cache = _parted(past)
    takes = inspect.signature(model.forward).parameters
    besides: dict[str, Any] = {"logits_to_keep": 1, "position_ids": position_ids}
    given = {name: value for name, value in besides.items() if name in takes}
    said = model(input_ids=input_ids, attention_mask=attention_mask, cache=cache, use_cache=True, **given)
    return {"logits": said.logits[:, -1].float(), "new_past": _stacked(cache)}


def shape_of_past(model: Any) -> list[int]:
    """Keys and values of all layers, heads, and numbers of each: 2 L, H, D."""
    cache = DynamicCache()
    with torch.inference_mode():
        model(input_ids=torch.ones((1, 1), dtype=torch.int64), cache=cache, use_cache=True)
    _, layers, heads, _, size = _stacked(cache).shape
    return [layers, heads, size]


def example_of_prompt(model: Any, batch: int, length: int, read: int) -> dict[str, torch.Tensor]:
    """Tensors for `after_prompt`: so many rows of so many tokens, after so many that were read."""
    layers, heads, size = shape_of_past(model)
    ids = torch.ones((batch, length), dtype=torch.int64)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones((batch, read + length), dtype=torch.int64),
        "position_ids": torch.arange(read, read + length).expand(batch, length).clone(),
        "past": torch.zeros((batch, layers, heads, read, size)),
    }


def begin_of(model: Any) -> int:
    """The token that a text begins with, before its first one."""
    begun = model.generation_config.decoder_start_token_id
    return int(model.config.decoder_start_token_id if begun is None else begun)


# What `generate` may be told to do besides and is not served, with the value that does nothing.
_UNSERVED = {
    "encoder_no_repeat_ngram_size": 0,
    "min_new_tokens": None,
    "repetition_penalty": 1.0,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "exponential_decay_length_penalty": None,
}


def how_it_writes(model: Any, directory: Path) -> dict[str, Any]:
    """What decides, besides the logits, which tokens a model writes, as `generation_config.json` has it.

    Raises TrainingError for what is not served.
    """
    said, is_after_source = model.generation_config, model.config.is_encoder_decoder
    banned = said.bad_words_ids or []
    unserved = {name: getattr(said, name, nothing) for name, nothing in _UNSERVED.items()}
    if not is_after_source:  # replies are written and judged without
        unserved.pop("repetition_penalty")
    unserved = {name: value for name, value in unserved.items() if value not in (None, _UNSERVED[name])}
    if long := [tokens for tokens in banned if len(tokens) > 1]:
        unserved["bad_words_ids"] = long[0]
    if unserved:
        name, value = next(iter(unserved.items()))
        raise TrainingError(
            f"{directory}: generation_config.json says {name} {value!r}, which is not served; take it out of "
            "the checkpoint and train again"
        )
    ends = said.eos_token_id if isinstance(said.eos_token_id, list) else [said.eos_token_id]
    return {
        "begins_with": begin_of(model) if is_after_source else None,
        "ends": [int(token) for token in ends if token is not None],
        "forced_first": said.forced_bos_token_id if is_after_source else None,
        "forced_last": said.forced_eos_token_id,
        "banned": [int(token) for tokens in banned for token in tokens],
        "shortest": int(said.min_length or 0),
        "no_repeat": int(said.no_repeat_ngram_size or 0),
        "length_penalty": 1.0 if said.length_penalty is None else float(said.length_penalty),
        "early_stopping": said.early_stopping or False,
    }


def _stacked(cache: Any) -> torch.Tensor:
    return torch.stack([part for layer in cache.layers for part in (layer.keys, layer.values)], dim=1)


def _parted(stacked: torch.Tensor) -> DynamicCache:
    return DynamicCache([(stacked[:, i], stacked[:, i + 1]) for i in range(0, stacked.shape[1], 2)])
