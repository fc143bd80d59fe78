"""What a recipe that starts from a published checkpoint is refused for before its first stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.checks_before_a_run import check_recipe
from flows.recipe import Recipe
from tasks.contract.errors import RecipeError
from tests.checkpoints import write_checkpoint


@pytest.fixture
def sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "home"))
    return {
        "name": "reviews",
        "examples": {"kind": "files", "task": "classification", "train": "reviews.csv"},
        "fine_tune": {"start_from": str(write_checkpoint(tmp_path / "tiny")), "max_length": 64},
    }


def test_a_sound_checkpoint_is_not_refused(sections: dict[str, Any]) -> None:
    check_recipe(Recipe.model_validate(sections))


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("fine_tune", {"max_length": 128}, r"max_length 128 .* is more than the 64 positions of the model"),
        ("fine_tune", {"start_from": "nowhere"}, "fine_tune.start_from: 'nowhere' is neither a folder nor"),
        ("examples", {"columns": {"lable": "x"}}, "examples.columns names 'lable', which is no field"),
        ("evaluate", {"at_least": {"bleu": 1}}, "the task classification has no metric 'bleu'"),
    ],
)
def test_what_a_run_could_not_do_is_refused(
    sections: dict[str, Any], key: str, values: dict[str, Any], said: str
) -> None:
    sections[key] = sections.get(key, {}) | values
    with pytest.raises(RecipeError, match=said):
        check_recipe(Recipe.model_validate(sections))


def test_a_checkpoint_is_not_looked_at_where_the_run_ends_before(sections: dict[str, Any]) -> None:
    sections["fine_tune"]["start_from"] = "nowhere"
    check_recipe(Recipe.model_validate(sections), skipped=["fine_tune", "evaluate"])


def test_pretraining_takes_the_same_three_forms(sections: dict[str, Any], tmp_path: Path) -> None:
    start = sections.pop("fine_tune")["start_from"]
    (tmp_path / "tiny" / "model.safetensors").rename(tmp_path / "tiny" / "pytorch_model.bin")
    del sections["examples"]
    sections["collect"] = {"sources": [{"kind": "files", "path": "corpus"}]}
    for wrong, said in (
        (start, r"pretrain\.start_from: .*pytorch_model\.bin alone, and no pickle"),
        ("models:/reviews", r"pretrain\.start_from: 'models:/reviews' names no registered version"),
        ("someone/tiny@main", r"pretrain\.start_from: .* nor a model of the hub with its commit"),
    ):
        sections["pretrain"] = {"family": "bert", "start_from": wrong}
        with pytest.raises(RecipeError, match=said):
            check_recipe(Recipe.model_validate(sections))
