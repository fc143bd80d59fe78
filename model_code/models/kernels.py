"""The quicker kernels of a device for the time of training, and less memory for more computing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from model_code.errors import TrainingError
from model_code.models.attention import FLEX
from model_code.runtime import Runtime

COMPILE = ("auto", "on", "off")
# T5 is not among them: flex_attention reads its position bias by rows, and it has one row only. Nor is
# Marian, whose texts are short.
FLEXIBLE = frozenset({"bert", "gpt2", "llama", "modernbert"})
ATTENTION_DROPOUT = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")


@contextmanager
def fast_attention(
    model: PreTrainedModel, runtime: Runtime, compiled: str = "auto", packed: bool = False
) -> Iterator[None]:
    """Train with the quicker kernels of the device, then hand the model back as it was.

    `compiled` is `on`, `off` or `auto`, which is on for CUDA and off for CPU: there the layers of a tiny
    model get 1.1 to 1.4 times faster, but take a minute to compile. `packed` says that the rows are full and
    of one length. Raises TrainingError for another word.
    """
    if compiled not in COMPILE:
        raise TrainingError(f"compile {compiled!r} is not known; choose one of {', '.join(COMPILE)}")
    usual = model.config._attn_implementation
    model.set_attn_implementation(_quickest_attention(model, runtime.device, packed) or usual)
    layers = repeated_layers(model) if _compiles(compiled, runtime.device) else []
    one_length = packed and not model.config.is_encoder_decoder
    for layer in layers:
        layer.compile(dynamic=None if one_length else True)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)
        for layer in layers:
            layer._compiled_call_impl = None


def repeated_layers(model: nn.Module) -> list[nn.Module]:
    """The blocks that a model stacks, in order: what is compiled, sharded or recomputed one by one."""
    marked: list[nn.Module] = [
        module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)
    ]
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return marked or [layer for stack in stacks for layer in stack]  # MPNet's and ALBERT's are not marked


def recompute_activations(model: PreTrainedModel) -> None:
    """Keep only the inputs of each layer and compute the rest again in the backward pass.

    Chen et al. 2016 (arXiv 1604.06174): memory for a third more computing, the same gradients.
    """
    model.activation_checkpointing_enable({"use_reentrant": False})


def _quickest_attention(model: PreTrainedModel, device: torch.device, packed: bool) -> str:
    """Its name; "" to leave what the model was loaded with, where it has no choice."""
    if not model._supports_sdpa:
        return ""
    # On CPU plain matrix products train 1.1 to 1.5 times faster than the fused kernel at lengths from 128 to
    # 1,024: its backward pass is slow there.
    if device.type == "cpu":
        return "eager"
    drops = any(getattr(model.config, name, 0) for name in ATTENTION_DROPOUT)
    flexible = packed and model.config.model_type in FLEXIBLE and not drops
    return FLEX if flexible else "sdpa"


def _compiles(compiled: str, device: torch.device) -> bool:
    return compiled == "on" or (compiled == "auto" and device.type == "cuda")
