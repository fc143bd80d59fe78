"""Stage: train the pretrained model on the examples of a task."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpus.examples.written_examples import task_of
from model_code.config.fine_tuning import FineTuningConfig
from model_code.models.folder import parameters_in
from tasks.checkpoints.start import Start
from tasks.contract.artifact import Artifact, folder_digest
from tasks.contract.console import escaped
from tasks.contract.errors import RecipeError
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.fine_tuning.hyperparameter_search import SearchConfig, search, with_usual_ranges
from tasks.fine_tuning.seeds import write_seeds
from tasks.fine_tuning.trials import Trainings
from tasks.pretrain import EXPERIMENT

TRAINER = "model_code.fine_tuning"


class FineTuneConfig(FineTuningConfig):
    """How the model learns its task, over several trainings where a recipe asks for them."""

    seeds: int = Field(
        1, ge=1, le=100, description="Models to train, with this seed and those after it; the best is kept."
    )
    search: SearchConfig | None = Field(
        None, description="Find better values before the model is trained; {} for those usually searched."
    )

    def leaks(self) -> Mapping[str, str]:
        """As of one training; several show more of the examples."""
        choosing = "chooses among trainings by their scores, which have no noise"
        several = {"search": self.search, "seeds": self.seeds > 1}
        return {**super().leaks(), **{name: choosing for name, used in several.items() if used}}

    @model_validator(mode="before")
    @classmethod
    def _search_has_ranges(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(given := values.get("search"), dict):
            return {**values, "search": with_usual_ranges(given, values)}
        return values

    @model_validator(mode="after")
    def _search_has_an_effect(self) -> Self:
        if self.search and "muon_learning_rate" in self.search.space and self.optimizer != "muon":
            raise ValueError(
                f"search.muon_learning_rate changes nothing with optimizer {self.optimizer}; leave it out or "
                "set optimizer to muon"
            )
        return self

    @model_validator(mode="after")
    def _seeds_are_searched_or_compared(self) -> Self:
        if self.seeds > 1 and self.search and self.search.seeds:
            raise ValueError("search.seeds chooses one seed, seeds compares several; leave one of them out")
        return self


class Teacher(BaseModel):
    """The folder of the teacher at this moment, an input of the stage: another one in it is noticed."""

    model_config = ConfigDict(frozen=True)

    digest: str


def teacher_in(config: FineTuneConfig) -> Teacher | None:
    """Look at the teacher that the recipe names; None where it names none.

    Raises:
        RecipeError: there is no model of a task in its folder.
    """
    if config.distill is None:
        return None
    if not (Path(config.distill.teacher) / "task.json").is_file():
        raise RecipeError(
            f"fine_tune: distill.teacher {config.distill.teacher}: no task.json in it; name the folder "
            "`model` of a finished fine_tune artifact"
        )
    return Teacher(digest=folder_digest(config.distill.teacher))


@stage(runs=(TRAINER, "model_code.task_types."))
def fine_tune(
    examples: Artifact,
    start: Artifact | Start,
    teacher: Teacher | None,
    config: FineTuneConfig,
    workspace: Workspace,
) -> None:
    """Write `model/` (a Hugging Face checkpoint with `task.json`), `metrics.json` and `history.jsonl`.

    Of several seeds the one with the best score on the validation examples is `model/`; all are in `seeds/`,
    by `seeds.json`. A search leaves `search.json` and `search.png`. What was killed goes on where it was.

    With adapters there is `adapter/` besides. `start` is the pretrained model, or the checkpoint that the
    recipe names; `teacher` is what the folder that it names holds.

    Raises:
        StageError: the model can't learn this task, or training failed.
    """
    given = workspace.path(examples)
    job = {"model": _model_in(start, workspace), "data": given}
    shared = config.model_dump(mode="json", exclude={"seeds", "search"}) | {"task": task_of(given)}
    trainings = Trainings(TRAINER, job, shared, workspace)
    found = {}
    if config.search:
        found = search(config.search, trainings, workspace, os.environ.get(EXPERIMENT, ""))
    values = {"seed": config.seed} | found
    trained = [
        trainings.run(values | {"seed": values["seed"] + n}, _nth(n, config.seeds))
        for n in range(config.seeds)
    ]
    best = max(trained, key=lambda training: training.score)
    shutil.copytree(best.output, workspace.directory, dirs_exist_ok=True)
    metrics = dict(best.metrics) | {"seed": best.values["seed"]}
    workspace.metrics |= {k: float(value) for k, value in metrics.items() if isinstance(value, int | float)}
    figure = metrics["selection"].replace("_", " ")
    workspace.say(
        f"best validation {figure} {metrics[metrics['selection']]:.3f} in epoch {metrics['best_epoch']:.0f}"
    )
    if config.seeds > 1:
        write_seeds(trained, workspace)


def _model_in(start: Artifact | Start, workspace: Workspace) -> Path:
    """The folder of the checkpoint to train."""
    if isinstance(start, Artifact):
        return workspace.path(start) / "model"
    assert start.folder is not None
    kind = json.loads((start.folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    parameters = parameters_in(start.folder)
    workspace.external["start_from"] = start.name
    workspace.counts["parameters at the start"] = parameters
    workspace.say(escaped(f"from {start.name} ({kind}, {parameters:,} parameters)"))
    return start.folder


def _nth(number: int, seeds: int) -> str:
    return f"fine-tuning, seed {number + 1} of {seeds}" if seeds > 1 else "fine-tuning"
