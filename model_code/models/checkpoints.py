"""Hugging Face checkpoints in a folder: safetensors only, no remote code."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import transformers

from model_code.errors import TrainingError
from model_code.models.architectures import body_lacks, note_weights


def load_model(directory: Path, kind: Any = None, **config: Any) -> Any:
    """Load a checkpoint as `kind` (a model class, or one of the Auto classes), or as what it was saved from.

    Weights are float32, whatever they were saved as. A head that the checkpoint lacks, or has for other
    labels, is random; `random_weights` and `left_weights` of the model name what is, and what was not needed.
    Raises TrainingError when the directory holds no such model.
    """
    described = described_in(directory)
    try:
        if kind is None:
            kind = getattr(transformers, described.architectures[0])
        model, info = _loaded(directory, kind, **config)
        if body_lacks(model, info) and hasattr(model, model.base_model_prefix):
            # Llama for question answering calls its body otherwise than all other classes of Llama do.
            body, info_of_body = _loaded(directory, transformers.AutoModel, config=model.config)
            setattr(model, model.base_model_prefix, body)
            own = {name for name in info["missing_keys"] if not name.startswith(model.base_model_prefix)}
            info = info_of_body | {"missing_keys": own | info_of_body["missing_keys"]}
    except Exception as error:  # transformers and safetensors share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error
    note_weights(model, directory, info)
    return model


def _loaded(directory: Path, kind: Any, **config: Any) -> Any:
    return kind.from_pretrained(
        directory,
        local_files_only=True,
        trust_remote_code=False,  # unset, transformers would ask on a terminal, and run it after a yes
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **config,
    )


def described_in(directory: Path) -> Any:
    """The configuration of a checkpoint. Raises TrainingError when the directory holds none."""
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory}: no config.json; name the model directory of a finished training")
    try:
        return transformers.AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers and the hub's client share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error


def digest_of(start_from: str) -> str:
    """The sha256 of a folder's configuration and weights; "" for random weights."""
    if not start_from:
        return ""
    folder, digest = Path(start_from), hashlib.sha256()
    for path in sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
