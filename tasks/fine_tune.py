"""Stage 8: train the pretrained model on the examples of a task."""

from __future__ import annotations

import os
import shutil
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.artifact import Artifact
from tasks.labelled.artifact import task_of
from tasks.pretrain import EXPERIMENT
from tasks.search import SearchConfig, search
from tasks.seeds import write_seeds
from tasks.stage import Config, Workspace, stage
from tasks.trainings import Trainings

TRAINER = "model_code.finetune"


class FineTuneConfig(Config):
    """How the model learns its task."""

    options: dict[str, Any] = Field({}, description="What only this task type needs to be told.")
    max_length: int = Field(128, ge=8, le=131_072, description="Longer texts are cut to this many tokens.")
    batch_size: int = Field(32, ge=1, description="Examples per step.")
    epochs: int = Field(3, ge=1, description="The epoch that does best on the validation examples is kept.")
    patience: int = Field(2, ge=1, description="Stop after this many epochs without a better one.")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: Muon for the hidden matrices, AdamW for the rest. adamw: AdamW for all."
    )
    learning_rate: float = Field(0.001, gt=0, le=1, description="Highest rate of AdamW, after the warm-up.")
    muon_learning_rate: float = Field(0.006, gt=0, le=1, description="Highest rate of Muon.")
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target spread over all labels."
    )
    class_weights: bool = Field(False, description="Weigh labels by the inverse of their frequency.")
    head_dropout: float = Field(0.1, ge=0, lt=1, description="Before the classification layer.")
    seed: int = Field(0, ge=0, description="Of the head's weights and the order of the data.")
    seeds: int = Field(
        1, ge=1, le=100, description="Models to train, with this seed and those after it; the best is kept."
    )
    search: SearchConfig | None = Field(None, description="Find better values before the model is trained.")

    @model_validator(mode="after")
    def _search_has_an_effect(self) -> Self:
        if self.search and "muon_learning_rate" in self.search.space and self.optimizer != "muon":
            raise ValueError(
                f"search.muon_learning_rate changes nothing with optimizer {self.optimizer}; leave it out or "
                "set optimizer to muon"
            )
        return self


@stage(runs=(TRAINER, "model_code.task_types."))
def fine_tune(examples: Artifact, pretrained: Artifact, config: FineTuneConfig, workspace: Workspace) -> None:
    """Write `model/` (a Hugging Face checkpoint with `task.json`), `metrics.json` and `history.jsonl`.

    Of several seeds the one with the best score on the validation examples is `model/`; all are in `seeds/`,
    by `seeds.json`. A search leaves `search.json` and `search.png`. What was killed goes on where it was.

    Raises:
        StageError: the model can't learn this task, or training failed.
    """
    given = workspace.path(examples)
    job = {"model": workspace.path(pretrained) / "model", "data": given}
    values = config.model_dump(mode="json", exclude={"seeds", "search"}) | {"task": task_of(given)}
    trainings = Trainings(TRAINER, job, values, workspace)
    found = {}
    if config.search:
        found = search(config.search, trainings, workspace, os.environ.get(EXPERIMENT, ""))
    trained = [
        trainings.run(found | {"seed": config.seed + n}, _nth(n, config.seeds)) for n in range(config.seeds)
    ]
    best = max(trained, key=lambda training: training.score)
    shutil.copytree(best.output, workspace.directory, dirs_exist_ok=True)
    metrics = best.metrics
    workspace.metrics |= {k: float(value) for k, value in metrics.items() if isinstance(value, int | float)}
    figure = metrics["selection"].replace("_", " ")
    workspace.say(
        f"best validation {figure} {metrics[metrics['selection']]:.3f} in epoch {metrics['best_epoch']:.0f}"
    )
    if config.seeds > 1:
        write_seeds(trained, workspace)


def _nth(number: int, seeds: int) -> str:
    return f"fine-tuning, seed {number + 1} of {seeds}" if seeds > 1 else "fine-tuning"
