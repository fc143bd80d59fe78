"""What a task can't do with a recipe, as far as the recipe alone says it: refused before anything starts.

The trainer refuses the same, hours later, where a checkpoint or the examples decide.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.examples.config import DocumentsExamples, FilesExamples
from tasks.contract.errors import RecipeError
from tasks.fine_tune import FineTuneConfig, teacher_in

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import TaskType

LABELLED = ("label", "labels", "tags")
PARTS = ("id", "text", "first_sentence", "rest")  # of every document


def check_against_task(
    task_type: str,
    family: str | None,
    config: FineTuneConfig,
    demanded: Iterable[str],
    positions: int | None = None,
) -> None:
    """Refuse a family, an option, a method or a metric that is not for the task.

    Args:
        family: that of the model that learns it, None where it is not known yet.
        demanded: the metrics that the gate names.
        positions: of the pretrained model, None where they are not known yet or have no end.

    Raises:
        RecipeError: there is one.
    """
    from model_code.distillation import require_logits
    from model_code.errors import TrainingError
    from model_code.models.families import FAMILIES
    from model_code.task_types.task import Settings, options_of, task_named

    task = task_named(task_type)
    if family and family not in task.FAMILIES:
        ours = ", ".join(name for name in FAMILIES if name in task.FAMILIES)
        raise RecipeError(
            f"fine_tune: the task {task_type} is for the families {ours} and others that transformers has a "
            f"model for it of, the checkpoint in start_from is a {family}; name another one"
            if config.start_from
            else f"fine_tune: the task {task_type} is for the families {ours}, "
            f"pretrain.family is {family}; set it to one of them, and tokenize.family to what it reads"
        )
    try:
        options = options_of(task, config.options)
    except TrainingError as error:
        raise RecipeError(f"fine_tune.options: {error}") from error
    settings = Settings(
        task_type, (), config.max_length, label_smoothing=config.label_smoothing, options=options
    )
    try:
        if check := getattr(task, "check", None):
            check(settings, positions)
        for method in ("r_drop", "distill"):
            if getattr(config, method):
                require_logits(task, task_type, method)
    except TrainingError as error:
        raise RecipeError(f"fine_tune: {error}") from error
    _check_methods(task, task_type, family, config)
    _check_teacher(task_type, config)
    _check_metrics(task, task_type, demanded)


def _check_methods(task: TaskType, name: str, family: str | None, config: FineTuneConfig) -> None:
    if config.class_weights and not any(
        field.target and field.kind in LABELLED for field in task.FIELDS.values()
    ):
        raise RecipeError(f"fine_tune: class_weights is for tasks with labels, not {name}; leave it out")
    if config.privacy and (compared := getattr(task, "UNBOUNDED", "")):
        raise RecipeError(
            f"fine_tune: the task {name} {compared}, so that what one example adds can't be bounded; leave "
            "privacy out"
        )
    if family == "gpt2" and config.lora and config.lora.quantize == "nf4":
        raise RecipeError(
            "fine_tune.lora.quantize: nf4 is for linear layers, which GPT-2 has not (they are Conv1D); set "
            "it to none or pretrain another family"
        )


def _check_teacher(task_type: str, config: FineTuneConfig) -> None:
    if config.distill is None:
        return
    teacher_in(config)
    taught = task_type
    with suppress(ValueError, AttributeError):  # the trainer refuses what can't be read
        said = (Path(config.distill.teacher) / "task.json").read_text(encoding="utf-8")
        taught = json.loads(said).get("task", task_type)
    if taught != task_type:
        raise RecipeError(
            f"fine_tune: distill.teacher {config.distill.teacher} was fine-tuned for {taught}, not for "
            f"{task_type}; name another one"
        )


def _check_metrics(task: TaskType, name: str, demanded: Iterable[str]) -> None:
    by_label = tuple(f"{metric}_" for metric in task.METRICS)
    for metric in demanded:
        if metric not in task.METRICS and not metric.startswith(by_label):
            raise RecipeError(
                f"evaluate: the task {name} has no metric {metric!r}; evaluate.at_least may name "
                f"{', '.join(task.METRICS)}"
            )


def check_start_options(task_type: str, folder: Path | None) -> None:
    """Refuse a checkpoint that tells of itself what the task can't do; None is one that is not here yet.

    Raises:
        RecipeError: it does.
    """
    from model_code.errors import TrainingError
    from model_code.task_types.task import task_named

    options_in = getattr(task_named(task_type), "options_in", None)
    if folder is None or options_in is None:
        return
    try:
        options_in(folder)
    except TrainingError as error:
        raise RecipeError(f"fine_tune.start_from: {error}") from error


def check_label_metrics(task_type: str, demanded: Iterable[str], labels: Collection[str]) -> None:
    """Refuse a demand on the figure of a label that no example has, such as `f1_LOC`.

    Raises:
        RecipeError: there is one.
    """
    from model_code.task_types.task import task_named

    metrics = task_named(task_type).METRICS
    known = {label.removeprefix("B-").removeprefix("I-") for label in labels} | set(labels)
    for name in demanded:
        of_label = [name.removeprefix(f"{metric}_") for metric in metrics if name.startswith(f"{metric}_")]
        if name not in metrics and not known.intersection(of_label):
            raise RecipeError(
                f"evaluate.at_least.{name}: no example has the label {of_label[-1]!r}; they have "
                f"{', '.join(sorted(known - {'O'}))}"
            )


def check_examples(config: FilesExamples | DocumentsExamples, offered: Mapping[str, Iterable[str]]) -> None:
    """Refuse fields that the task doesn't have, and parts of a document that no source offers.

    Args:
        offered: the keys of `meta` that each source may give its documents, by the source's name.

    Raises:
        RecipeError: there is one.
    """
    from model_code.task_types.task import task_named

    fields = task_named(config.task).FIELDS
    named: dict[str, Mapping[str, Any]] = {"columns": config.columns}
    if isinstance(config, FilesExamples):
        named |= {f"{split}.columns": config.other_columns(split) for split in config.files}
    else:
        named |= {"min_words": config.min_words, "max_words": config.max_words}
    for key, of_fields in named.items():
        if unknown := sorted(set(of_fields) - fields.keys()):
            raise RecipeError(
                f"examples.{key} names {unknown[0]!r}, which is no field of the task {config.task}; its "
                f"fields are {', '.join(fields)}"
            )
    if not isinstance(config, DocumentsExamples):
        return
    known = {*PARTS, *(key for keys in offered.values() for key in keys)}
    for name, field in fields.items():
        column = config.columns.get(name, name)
        missing = sorted(set([column] if isinstance(column, str) else column) - known)
        if (name in config.columns or (field.required and not field.named)) and missing:
            raise RecipeError(
                f"examples.columns: {name} is to be {missing[0]!r}, and no source gives its documents that; "
                f"they have {', '.join(sorted(known))}. Correct examples.columns, or add {missing[0]!r} to "
                "the meta_fields of a source"
            )
    labels = [name for name, field in fields.items() if field.kind == "label"]
    if labels and len(set(config.only)) == 1:
        raise RecipeError(f"examples.only names one label, {config.only[0]!r}; give two or more")
    for name in sorted(config.min_words.keys() & config.max_words.keys()):
        if config.min_words[name] > config.max_words[name]:
            raise RecipeError(
                f"examples: min_words.{name} {config.min_words[name]} is more than max_words.{name} "
                f"{config.max_words[name]}, so every document would be left out; change one of the two"
            )
