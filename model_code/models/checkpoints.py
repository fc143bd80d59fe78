"""Hugging Face checkpoints from disk: safetensors only, no remote code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedModel

from model_code.errors import TrainingError


def load_model(directory: Path, kind: type[PreTrainedModel] | None = None, **config: Any) -> Any:
    """Load a checkpoint as `kind`, or as the class that it was saved from.

    Raises TrainingError when the directory holds no such model.
    """
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory}: no config.json; name the model directory of a finished training")
    try:
        if kind is None:
            described = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
            kind = getattr(transformers, described.architectures[0])
        return kind.from_pretrained(directory, local_files_only=True, use_safetensors=True, **config)
    except Exception as error:  # transformers and safetensors share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error
