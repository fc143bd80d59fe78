"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) through peft: few weights learn, most rest.

To every linear layer of the pretrained model, whatever its architecture, the product of two narrow matrices
is added; the head of a task, and whatever else begins at random, is trained as it is. `quantize: nf4` keeps
the resting matrices in four bits a number (QLoRA, Dettmers et al. 2023, arXiv 2305.14314), by bitsandbytes.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_code.config.fine_tuning import LoraConfig
from model_code.errors import TrainingError
from model_code.job import write_json


class Adapter:
    """The adapter of a model, put into its layers in place: the model is used as it was before."""

    def __init__(self, model: PreTrainedModel, lora: LoraConfig) -> None:
        """From here on only the adapter and what begins at random require gradients.

        It begins as a product of zero, by the global random numbers of torch. Raises TrainingError when the
        model can't be quantized.
        """
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it advertises kernels of the hub
        from peft import LoraConfig as PeftConfig
        from peft import get_peft_model

        whole = trained_whole(model)
        if lora.quantize == "nf4":
            _quantize(model, whole)
        config: Any = PeftConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]
            lora_dropout=lora.dropout,
            target_modules="all-linear",  # but for the output embeddings and the heads
            modules_to_save=whole or None,
        )
        self._model = model
        self._peft: Any = get_peft_model(model, config)

    def save(self, directory: Path) -> None:
        """Write adapter and heads alone, for `PeftModel.from_pretrained`."""
        from peft import get_peft_model_state_dict

        directory.mkdir(parents=True, exist_ok=True)
        # Entries that the task added are in no other checkpoint.
        grown = bool(getattr(self._model, "new_rows", ()))
        weights = get_peft_model_state_dict(self._peft, save_embedding_layers=grown)
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save_file(on_cpu, directory / "adapter_model.safetensors", {"format": "pt"})
        # peft itself would write sets in any order, and where on this machine the model was.
        config = self._peft.peft_config["default"].to_dict()
        config |= {"base_model_name_or_path": None, "inference_mode": True}
        described = {name: sorted(v) if isinstance(v, set) else v for name, v in config.items()}
        write_json(directory / "adapter_config.json", described)

    def merge(self) -> None:
        """Add the adapter to the weights, rounded ones as they are, and leave a plain model."""
        from peft.tuners.lora import LoraLayer

        for name, layer in list(self._model.named_modules()):
            if isinstance(layer, LoraLayer) and _is_quantized(layer.get_base_layer()):
                self._model.set_submodule(name, _merged(layer))
        self._peft.merge_and_unload()


def heads_of(model: Any) -> list[str]:
    """The names of what a task puts on top of the pretrained model; output embeddings are no such thing."""
    if model.base_model is model:
        return []
    pretrained = (model.base_model, model.get_output_embeddings())
    return [
        name
        for name, child in model.named_children()
        if not any(child is part for part in pretrained) and any(True for _ in child.parameters())
    ]


def trained_whole(model: Any) -> list[str]:
    """The names of the modules that no adapter suits: the heads, and a pooler that the checkpoint lacks."""
    heads = heads_of(model)
    random = {name.rpartition(".")[0] for name in getattr(model, "random_weights", ())}
    return heads + sorted(name for name in random if name and not _is_within(name, heads))


def _is_within(name: str, modules: list[str]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def _quantize(model: Any, whole: list[str]) -> None:
    """Put layers with weights of four bits in the place of the linear ones that rest."""
    from bitsandbytes.nn.modules import Linear4bit

    # T5 casts what goes into such a layer to the type of its weights, which would be that of packed bytes.
    kept = {*(model._keep_in_fp32_modules or ()), *(model._keep_in_fp32_modules_strict or ())}
    resting = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | Conv1D)
        and layer is not model.get_output_embeddings()
        and not _is_within(name, whole)
        and kept.isdisjoint(name.split("."))
    ]
    for name, layer in resting:
        if isinstance(layer, Conv1D):
            raise TrainingError(
                f"lora.quantize nf4 is for linear layers, and {name} of {type(model).__name__} is a Conv1D; "
                "leave it out or choose another architecture"
            )
        rounded: Any = Linear4bit(  # type: ignore[no-untyped-call]
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
            compute_dtype=torch.float32,  # or less, as autocast says: else the first batch decides for all
            quant_type="nf4",
        )
        rounded.load_state_dict(layer.state_dict())
        # On some processors it would reorder the weights to evaluate, which not every width bears.
        rounded.support_avx512bf16_for_cpu = False
        model.set_submodule(name, rounded.to(layer.weight.device))
    model.is_loaded_in_4bit = True  # what peft asks for


def _is_quantized(layer: nn.Module) -> bool:
    return hasattr(layer, "quant_state")


def _merged(layer: Any) -> nn.Linear:
    """A linear layer of float32 with the rounded weights and, added to them, the adapter."""
    from bitsandbytes.functional import dequantize_4bit

    base = layer.get_base_layer()
    plain = nn.Linear(base.in_features, base.out_features, base.bias is not None)
    with torch.no_grad():
        rounded = dequantize_4bit(base.weight.data, base.weight.quant_state)
        plain.weight.copy_(rounded + layer.get_delta_weight("default"))
        if base.bias is not None:
            plain.bias.copy_(base.bias)
    return plain.to(base.weight.device)
