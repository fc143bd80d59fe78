"""The quicker kernels of a device for the time of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel

from model_code.runtime import Runtime


@contextmanager
def fast_attention(model: PreTrainedModel, runtime: Runtime) -> Iterator[None]:
    """Train with the quicker kernels of the device, then hand the model back as it was.

    On CPU at a length of 128 plain matrix products train 1.3 times faster than the fused SDPA
    kernel, whose backward pass is slow there. On CUDA the layers are compiled one by one, in place.
    """
    if runtime.device.type == "cpu":
        model.set_attn_implementation("eager")
    else:
        for layer in repeated_layers(model):
            layer.compile(dynamic=True)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")


def repeated_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The blocks that a model stacks, in order: what is compiled, sharded or recomputed one by one."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return [layer for stack in lists for layer in stack if len(list(layer.parameters())) > 1]
