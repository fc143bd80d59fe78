"""The stages by name, in their order: what the command, the flows, the report and the docs go by."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated

from pydantic import WithJsonSchema

from flows.recipe import Recipe
from flows.server_kinds import Name
from tasks.contract.errors import RecipeError

CORPUS = ("collect", "validate_raw", "clean", "validate_clean", "tokenize", "validate_tokens")
TRAIN = ("examples", "pretrain", "fine_tune", "evaluate")
RELEASE = ("register", "export", "deploy")
STAGES = CORPUS + TRAIN + RELEASE
# Prefect's form offers the names; what is no stage is refused here, in our words.
StageName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(STAGES)})]
# Stages that talk to a server besides Prefect's; the others run without any.
NEEDS: dict[str, tuple[Name, ...]] = {
    "pretrain": ("mlflow",),
    "evaluate": ("mlflow",),
    "register": ("mlflow",),
    "export": ("mlflow",),
    "deploy": ("mlflow", "triton"),
}


def last_stage(recipe: Recipe) -> str:
    """The stage with which a recipe's pipeline ends."""
    if recipe.examples:
        return "deploy" if recipe.is_served else "register"
    return "pretrain" if recipe.pretrain else CORPUS[-1]


def needs(last: str) -> tuple[Name, ...]:
    """The servers that a run up to the stage `last` talks to."""
    running = [stage for stage in STAGES if stage not in after(last)]
    return tuple(dict.fromkeys(["prefect", *(name for stage in running for name in NEEDS.get(stage, ()))]))


def check_stages(recipe: Recipe, stages: Sequence[str]) -> None:
    """Refuse what names no stage of this recipe.

    Raises:
        RecipeError: with the stages that there are, or what the recipe lacks for this one.
    """
    for stage in stages:
        if stage not in STAGES:
            close = difflib.get_close_matches(stage, STAGES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RecipeError(f"there is no stage {stage!r}; the stages are {', '.join(STAGES)}{hint}")
        if stage in after(last_stage(recipe)):
            missing = f"the recipe has no `{'examples' if recipe.pretrain else 'pretrain'}` section"
            raise RecipeError(
                f"{recipe.name} ends with {last_stage(recipe)}, so there is no {stage}: "
                + (f"the task {recipe.examples.task} is not served yet" if recipe.examples else missing)
            )


def check_order(start: str | None, until: str | None) -> None:
    """Refuse a first stage that comes after the last one.

    Raises:
        RecipeError: with the two stages.
    """
    if start and until and STAGES.index(start) > STAGES.index(until):
        raise RecipeError(f"--from {start} comes after --until {until}, so no stage is left; swap them")


def before(stage: str | None) -> Sequence[str]:
    """The stages before this one."""
    return STAGES[: STAGES.index(stage)] if stage else ()


def after(stage: str) -> Sequence[str]:
    """The stages after this one."""
    return STAGES[STAGES.index(stage) + 1 :]
