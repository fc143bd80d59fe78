"""Which stages a recipe has, and the servers they talk to."""

from __future__ import annotations

from typing import Any

import pytest

from flows.recipe import Recipe
from flows.stages import CORPUS, RELEASE, STAGES, check_stages, needs, stages_of
from tasks.contract.errors import RecipeError

SOURCES = {"sources": [{"kind": "files", "path": "corpus", "meta_fields": ["topic"]}]}
DOCUMENTS = {"kind": "documents", "task": "classification", "columns": {"label": "topic"}}
FILES = {"kind": "files", "task": "classification", "train": "reviews.csv"}
PAIRS = FILES | {"columns": {"second": "other"}}
REPLIES = {"kind": "files", "task": "instructions", "train": "replies.csv"}
START = {"start_from": "checkpoints/minilm"}
JUDGED = ("examples", "fine_tune", "evaluate", "register")
SERVED = ("export", "deploy")
MATCHING = {"kind": "files", "task": "matching", "train": "pairs.csv"}


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "small", **sections})


@pytest.mark.parametrize(
    ("sections", "stages"),
    [
        ({"collect": SOURCES}, CORPUS),
        ({"collect": SOURCES, "pretrain": {}}, (*CORPUS, "pretrain")),
        ({"collect": SOURCES, "examples": DOCUMENTS}, tuple(stage for stage in STAGES if stage != "index")),
        ({"examples": FILES, "fine_tune": START}, (*JUDGED, *SERVED)),
        ({"examples": PAIRS, "fine_tune": START}, (*JUDGED, *SERVED)),
        ({"examples": REPLIES, "fine_tune": START}, (*JUDGED, *SERVED)),
        (
            {"examples": MATCHING, "fine_tune": START, "index": {"of": "examples"}},
            (*JUDGED, "export", "index", "deploy"),
        ),
        (
            {"collect": SOURCES, "examples": MATCHING, "fine_tune": START, "index": {"of": "corpus"}},
            (*CORPUS, *JUDGED, *RELEASE[1:]),
        ),
        ({"collect": SOURCES, "examples": DOCUMENTS, "fine_tune": START}, (*CORPUS, *JUDGED, *SERVED)),
    ],
)
def test_a_recipe_has_the_stages_that_it_needs(sections: dict[str, Any], stages: tuple[str, ...]) -> None:
    assert stages_of(recipe(**sections)) == stages
    check_stages(recipe(**sections), stages)


def test_a_stage_that_a_published_checkpoint_leaves_out_is_refused() -> None:
    published = recipe(examples=FILES, fine_tune=START)
    for stage in (*CORPUS, "pretrain"):
        with pytest.raises(
            RecipeError, match=f"published checkpoint .* so there is no {stage}; its stages are ex"
        ):
            check_stages(published, [stage])


def test_a_version_of_the_registry_needs_the_registry() -> None:
    registered = recipe(examples=FILES, fine_tune={"start_from": "models:/reviews@champion"})
    assert needs(recipe(examples=FILES, fine_tune=START), ["examples", "fine_tune"]) == ()
    assert needs(registered, ["examples"]) == ()
    assert needs(registered, ["examples", "fine_tune"]) == ("mlflow",)
    assert needs(registered, STAGES) == ("mlflow", "triton")
