"""The model of a task: as it is loaded from a checkpoint to be trained, and as it is saved for everyone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from model_code.config.fine_tuning import FineTuningRun
from model_code.data.padding import padded_length
from model_code.data.vocabulary import TEMPLATE, Vocabulary, save_described
from model_code.errors import TrainingError
from model_code.models.architectures import freeze_lowest, layer_weights, positions_of, require_entries
from model_code.models.families import FAMILIES
from model_code.models.folder import CONFIG, INDEX, TEMPLATES, files_in, weights_of
from model_code.task_types.task import REFERENCE, Settings, TaskType, write_settings
from model_code.task_types.texts import names_of_inputs

# The names that configurations have for dropout, the first that one has for all the others.
DROPOUT = (
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "dropout_rate",
    "resid_pdrop",
    "attention_dropout",
)


def starting_model(
    directory: Path, task: TaskType, vocabulary: Vocabulary, settings: Settings, config: FineTuningRun
) -> PreTrainedModel:
    """The model of a task as its training begins.

    Raises TrainingError when the checkpoint can't do the task, or not with this tokenizer or length.
    """
    torch.manual_seed(config.seed)  # a head that the checkpoint lacks starts at random
    require_family(directory, settings.task, task)
    model = task.load(directory, vocabulary, settings)
    require_entries(model, vocabulary.size)
    if config.freeze is not None:
        freeze_lowest(model, config.freeze)
    positions = positions_of(model)
    if positions is not None and (width := padded_length(config.max_length)) > positions:
        raise TrainingError(
            f"max_length {config.max_length} (rows of up to {width} tokens) is more than the {positions} "
            "positions of the model; lower it or start from a model with more"
        )
    return model


def chosen_values(model: PreTrainedModel, config: FineTuningRun) -> dict[str, float]:
    """The rates and the dropout of the training; what a recipe does not set follows from the checkpoint."""
    values = {"learning_rate": config.learning_rate, "layer_weights": layer_weights(model)}
    if config.optimizer == "muon":
        values["muon_learning_rate"] = config.muon_learning_rate
    known = (getattr(model.config, name, None) for name in DROPOUT)
    values["dropout"] = next((value for value in known if isinstance(value, float)), 0.0)
    return {name: float(value) for name, value in values.items() if value is not None}


def require_family(directory: Path, name: str, task: TaskType) -> None:
    """Raise TrainingError when the checkpoint is of an architecture that can't do the task."""
    path = directory / "config.json"
    found = json.loads(path.read_text(encoding="utf-8")).get("model_type") if path.is_file() else None
    if found is not None and found not in task.FAMILIES:
        ours = ", ".join(family for family in FAMILIES if family in task.FAMILIES)
        raise TrainingError(
            f"the task {name} is for the families {ours} and others that transformers has a model for it of, "
            f"the model in {directory} is of the family {found}; start from another one"
        )


def save_task_model(
    model: PreTrainedModel,
    task: TaskType,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    settings: Settings,
    config: FineTuningRun,
    source: Path,
    directory: Path,
) -> None:
    """Write a checkpoint with its task and its tokenizer, which cuts texts where training did."""
    model.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    if config.start_from:
        save_described(tokenizer, source, vocabulary, directory, names_of_inputs(model.config))
    elif (described := source / "tokenizer_config.json").is_file():
        (directory / described.name).write_bytes(described.read_bytes())
    files: dict[str, str] = dict(getattr(task, "FILES", {}))
    if hasattr(task, "files"):
        files |= task.files(model, settings, source)
    for name, text in files.items():
        if not (name == TEMPLATE and vocabulary.template):
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
    for template in sorted([*source.glob(TEMPLATE), *source.glob(f"{TEMPLATES}/*.jinja")]):
        kept = directory / template.relative_to(source)
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(template.read_bytes())
    if getattr(task, "KEEPS_REFERENCE", False):
        (directory / REFERENCE).mkdir()
        for name in (CONFIG, *weights_of(source, files_in(source), str(source))):
            shutil.copyfile(source / name, directory / REFERENCE / name)
        if (source / INDEX).is_file():
            shutil.copyfile(source / INDEX, directory / REFERENCE / INDEX)
    write_settings(settings, directory)
