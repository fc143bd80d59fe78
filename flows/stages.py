"""The stages by name, in their order: what the command, the flows, the report and the docs go by."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Annotated

from pydantic import WithJsonSchema

from flows.recipe import Recipe
from flows.server_kinds import Name
from tasks.checkpoints.start import asks_registry
from tasks.contract.errors import RecipeError

CORPUS = ("collect", "validate_raw", "clean", "validate_clean", "tokenize", "validate_tokens")
TRAIN = ("examples", "pretrain", "fine_tune", "evaluate")
RELEASE = ("register", "export", "index", "deploy")
STAGES = CORPUS + TRAIN + RELEASE
# Prefect's form offers the names; what is no stage is refused here, in our words.
StageName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(STAGES)})]
# Stages that talk to a server besides Prefect's; the others run without any.
NEEDS: dict[str, tuple[Name, ...]] = {
    "pretrain": ("mlflow",),
    "evaluate": ("mlflow",),
    "register": ("mlflow",),
    "export": ("mlflow",),
    "index": ("mlflow",),
    "deploy": ("mlflow", "triton"),
}


def last_stage(recipe: Recipe) -> str:
    """The stage with which a recipe's pipeline ends."""
    if recipe.examples:
        return "deploy"
    return "pretrain" if recipe.pretrain else CORPUS[-1]


def stages_of(recipe: Recipe) -> tuple[str, ...]:
    """The stages that a recipe's pipeline consists of, in their order."""
    left_out = {*after(last_stage(recipe))}
    if recipe.collect is None:
        left_out.update(CORPUS)
    left_out |= {name for name in ("pretrain", "examples", "index") if getattr(recipe, name) is None}
    return tuple(stage for stage in STAGES if stage not in left_out)


def needs(recipe: Recipe, stages: Collection[str]) -> tuple[Name, ...]:
    """The servers besides Prefect's that these of a recipe's stages talk to."""
    talking = [name for stage in stages_of(recipe) if stage in stages for name in NEEDS.get(stage, ())]
    if asks_registry(recipe.start_from) and {"pretrain", "fine_tune"}.intersection(stages):
        talking.append("mlflow")
    if recipe.collect and asks_registry(recipe.tokenize.pretrained) and "tokenize" in stages:
        talking.append("mlflow")
    return tuple(dict.fromkeys(talking))


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
        if stage in stages_of(recipe):
            continue
        if stage == "index" and recipe.examples:
            raise RecipeError(f"{recipe.name} has no `index` section, so its endpoint searches nothing")
        if stage not in after(last_stage(recipe)) and recipe.examples:
            raise RecipeError(
                f"{recipe.name} starts from a published checkpoint (fine_tune.start_from), so there is no "
                f"{stage}; its stages are {', '.join(stages_of(recipe))}"
            )
        raise RecipeError(
            f"{recipe.name} ends with {last_stage(recipe)}, so there is no {stage}: the recipe has no "
            f"`{'examples' if recipe.pretrain else 'pretrain'}` section"
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
