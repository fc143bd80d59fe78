"""What a task type is: a module of this package whose name is the task's.

It says what an example holds, makes batches of examples, scores a model on them, and turns what the model
says into predictions and these into figures. The rest (the loop, adapters, seeds, the gate, the registry)
is the same for all of them. `classification.py` is the one to read first.

Batches and scores are those of pretraining: sums over targets, with the number of targets known beforehand
(`model_code.objectives.objective`). What `metrics` and `baselines` need from the field's libraries they
import themselves: a machine that only trains does without.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.job import write_json
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types import task_types
from model_code.task_types.baselines import Baselines

Example = Mapping[str, Any]
Prediction = Any
"""What is said about one example, as JSON: a label, a list of tags, an answer, a text, a vector."""
REFERENCE = "reference"  # the folder in that of a model

FieldKind = Literal[
    "text", "texts", "label", "labels", "words", "tags", "answers", "score", "messages", "said", "span"
]
"""What a field of an example holds.

text: str. texts: list[str], may be empty. label: str. labels: list[str], may be empty.
words, tags: list[str] of one length. score: float.
answers: list of {"text": str, "start": int}, character positions in the context.
messages: list of {"role": "system" | "user" | "assistant", "content": str}.
said: a text, or such messages.
span: {"start": int, "end": int, "text": str}, characters of the text, the end behind the last one.
"""


@dataclass(frozen=True)
class Field:
    """A field of an example. A `target` is what is to be learnt: it is absent where predictions are asked.

    One that is `named` is read only where the recipe names a column for it, and then every example has it.
    """

    kind: FieldKind
    required: bool = True
    target: bool = False
    named: bool = False


@dataclass(frozen=True)
class Settings:
    """What a task type is told about a run; written beside the model as `task.json`.

    `labels` are those of the training examples, sorted. `label_weights` are as many, or none. `options` are
    the task's own. Without a `head_dropout` it is the checkpoint's own.
    """

    task: str
    labels: tuple[str, ...] = ()
    max_length: int = 128
    head_dropout: float | None = 0.1
    label_smoothing: float = 0.0
    label_weights: tuple[float, ...] = ()
    options: Any = field(default_factory=dict)


class Data(Protocol):
    """Encoded examples, cut into items: one or several of a length that fits the model for each example.

    Where a row of a batch may hold several items, `unpacked()` is the same data with each in its own.
    """

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each item, int64 [items]."""

    def batch(self, items: np.ndarray) -> Batch:
        """The batch of some items, by their numbers; on the CPU."""


class TaskType(Protocol):
    """What a module of this package offers.

    FAMILIES are the model families that can do it. FIELDS are those of an example. METRIC names the figure
    of `metrics` that the gate and the comparison with the champion read; higher is better. METRICS are all of
    them; one for each label has its name and the label's, as in f1_LOC. SELECTION names
    the figure of `figures` by which the best epoch is chosen, or is `loss` (the lowest on validation).
    Options is a frozen dataclass with defaults: what only this task needs to be told.

    A module may also have `resampled` (bootstrap_metrics.py), for quick intervals of the gate;
    `truth(example)`, what `metrics` and `resampled` read of an example where that is not its targets; SCALE,
    the value of a perfect METRIC where that is not 1; `predict_surely(…)`, as `predict` and beside the
    predictions the probability of each, by which calibration is judged; FILES, the texts to write beside its
    model by file name, such as a chat template; UNBOUNDED, what it does where the loss of a row depends on
    the others of its batch, so that privacy, which bounds what each does alone, is refused; and
    `check(settings, positions)`, which raises TrainingError for settings that can't be used, before anything
    is trained (`positions` of the model, None where they have no end or are not known);
    `begun(model, data, runtime, batch_size)`, which adds to encoded examples what the model finds of them
    before its first step; KEEPS_REFERENCE where what is saved holds the model that it began as;
    `parted(example)`, of an example that may be written in several ways the one that is learnt from, which
    raises ValueError with what is wrong;
    OUR_OWN, options for a model that was pretrained here where these are others than for public checkpoints;
    `options_in(folder)`, the options that a checkpoint's folder itself tells, where a recipe does not; and
    `files(model, settings, source)`, texts to write beside the model that began with the folder `source`.
    """

    FAMILIES: tuple[str, ...]
    FIELDS: Mapping[str, Field]
    METRIC: str
    METRICS: tuple[str, ...]
    SELECTION: str
    Options: type

    def fault(self, example: Example) -> str:
        """What is wrong with an example whose fields have the right kinds, for its author; "" if nothing."""

    def labels_of(self, examples: Sequence[Example]) -> list[str]:
        """The labels that occur, sorted; empty for a task without any."""

    def load(self, directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
        """The model of the task from a pretrained or fine-tuned checkpoint; a head it lacks is random.

        Raises TrainingError when the checkpoint can't be used for this.
        """

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
    ) -> Data:
        """Tokens of the examples. Without target fields the batches lack the targets, too.

        Raises TrainingError when an example can't be encoded, with its id.
        """

    def scores(self, model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
        """One score per term of the loss, from the tensors of a batch on the model's device."""

    def predict(
        self, model: Any, data: Any, runtime: Runtime, batch_size: int, settings: Settings
    ) -> list[Prediction]:
        """One prediction per example, in their order; without gradients, the model in evaluation mode."""

    def figures(
        self, examples: Sequence[Example], predictions: Sequence[Prediction], settings: Settings
    ) -> dict[str, float]:
        """Figures of an epoch on the validation split, by numpy alone; empty where SELECTION is `loss`."""

    def metrics(
        self, examples: Sequence[Example], predictions: Sequence[Prediction], settings: Settings
    ) -> dict[str, float]:
        """The field's figures on the test split, METRIC among them, by the field's libraries."""

    def baselines(self, train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
        """What answers without a model would be, by name, the most trivial one first.

        `attempted` (baselines.py) makes them, so that one that is not available says why in its place.
        """


# The types that an option may have, by that of its default: `true` is no number.
_ALSO: Mapping[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}


def task_named(name: str) -> TaskType:
    """The task type of this name. Raises TrainingError when there is none."""
    if name not in task_types():
        raise TrainingError(f"task {name!r} is not known; choose one of {', '.join(task_types())}")
    return cast(TaskType, importlib.import_module(f"model_code.task_types.{name}"))


def options_of(task: TaskType, values: Mapping[str, Any]) -> Any:
    """The task's own options. Raises TrainingError for unknown keys and values of another kind."""
    for option in fields(task.Options):
        value, usual = values.get(option.name, option.default), option.default
        allowed = _ALSO.get(type(usual), ())
        if allowed and type(value) not in allowed:
            raise TrainingError(f"{option.name} is {value!r}; give a value such as {usual!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise TrainingError(f"{option.name} is {value}; give a finite number")
    known = {option.name for option in fields(task.Options)}
    if unknown := sorted(values.keys() - known):
        raise TrainingError(f"options has unknown keys {unknown}; allowed are {sorted(known)}")
    return task.Options(**values)


def write_settings(settings: Settings, directory: Path) -> None:
    """Write `task.json` beside a model."""
    write_json(directory / "task.json", asdict(settings))


def truth_of(task: TaskType, example: Example) -> dict[str, Any]:
    """What `metrics` and `resampled` read of an example, which is all that judging it again takes."""
    if hasattr(task, "truth"):
        return dict(task.truth(example))
    return {name: example[name] for name, field in task.FIELDS.items() if field.target and name in example}


def read_settings(directory: Path) -> Settings:
    """The settings with which a model was fine-tuned. Raises TrainingError when it says nothing of them."""
    path = directory / "task.json"
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; name the model directory of a finished fine-tuning")
    return settings_from(json.loads(path.read_text(encoding="utf-8")))


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings from what `asdict` made of them. Raises TrainingError for a task that is not known."""
    task = task_named(values["task"])
    return Settings(
        **dict(values)
        | {
            "labels": tuple(values["labels"]),
            "label_weights": tuple(values["label_weights"]),
            "options": options_of(task, values["options"]),
        }
    )
