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


@pytest.fixture
def further(sections: dict[str, Any]) -> dict[str, Any]:
    """A corpus, a checkpoint that is pretrained further on it, and examples: the short form."""
    start = sections.pop("fine_tune")["start_from"]
    sections["collect"] = {"sources": [{"kind": "files", "path": "corpus"}]}
    sections["fine_tune"] = {"max_length": 32}
    return sections | {"pretrain": {"start_from": start, "sequence_length": 32}}


def test_a_checkpoint_that_is_pretrained_further_brings_all_that_it_needs(further: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(further)
    start = further["pretrain"]["start_from"]
    assert (recipe.tokenize.pretrained, recipe.tokenize.family) == (start, "own")
    assert recipe.pretrain
    assert (recipe.pretrain.optimizer, recipe.pretrain.schedule) == ("adamw", "linear")
    assert recipe.pretrain.learning_rate is None
    assert recipe.fine_tune
    assert (recipe.fine_tune.start_from, recipe.fine_tune.learning_rate) == (start, None)
    assert Recipe.model_validate(recipe.model_dump(by_alias=True)) == recipe
    check_recipe(recipe)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("pretrain", {"family": "gpt2"}, "is a model of the family bert, family is gpt2; leave family out"),
        ("tokenize", {"family": "gpt"}, "tokenize.family is gpt, and the checkpoint of pretrain.start_from"),
        ("pretrain", {"mean_span": 4.0}, "mean_span changes nothing for objective masked, which the check"),
        ("pretrain", {"objective": "causal"}, "a bert, which can't be trained for objective causal; it can"),
        (
            "pretrain",
            {"sequence_length": 65},
            "sequence_length 65 is more than the 64 positions of the model",
        ),
        ("fine_tune", {"max_length": 128}, r"max_length 128 .* is more than the 64 positions of the model"),
        (
            "examples",
            {"task": "seq2seq"},
            "the task seq2seq is for the families t5, marian and others .* bert",
        ),
    ],
)
def test_what_contradicts_its_checkpoint_is_refused(
    further: dict[str, Any], section: str, values: dict[str, Any], said: str
) -> None:
    further[section] = further.get(section, {}) | values
    with pytest.raises(RecipeError, match=said):
        check_recipe(Recipe.model_validate(further))


def test_what_a_tokenizer_would_be_trained_by_is_refused(further: dict[str, Any]) -> None:
    further["tokenize"] = {"vocabulary": 32000}
    with pytest.raises(ValueError, match=r"vocabulary 32000 is for a tokenizer .* start_from that of the"):
        Recipe.model_validate(further)
    further["tokenize"] = {"validation": 0.2}
    assert Recipe.model_validate(further).tokenize.validation == 0.2


def test_the_tokenizer_of_another_checkpoint_is_refused(further: dict[str, Any], tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other", ("other", "words"))
    further["tokenize"] = {"pretrained": str(other)}
    with pytest.raises(RecipeError, match=r"tokenize.pretrained .*other has 'other' for the id "):
        check_recipe(Recipe.model_validate(further))
    further["tokenize"] = {"pretrained": str(write_checkpoint(tmp_path / "same"))}
    check_recipe(Recipe.model_validate(further))


def test_two_checkpoints_to_start_from_are_refused(further: dict[str, Any]) -> None:
    further["fine_tune"] = {"start_from": "elsewhere"}
    with pytest.raises(ValueError, match=r"fine_tune.start_from is elsewhere, pretrain.start_from "):
        Recipe.model_validate(further)


def test_a_corpus_of_examples_is_read_by_the_checkpoint_that_learns_them(sections: dict[str, Any]) -> None:
    sections["collect"] = {"sources": [{"kind": "files", "path": "corpus", "meta_fields": ["topic"]}]}
    sections["examples"] = {"kind": "documents", "task": "classification", "columns": {"label": "topic"}}
    check_recipe(Recipe.model_validate(sections))
    sections["fine_tune"]["start_from"] = "nowhere"
    with pytest.raises(RecipeError, match=r"fine_tune\.start_from: 'nowhere' is neither a folder"):
        check_recipe(Recipe.model_validate(sections))


def test_a_task_that_the_checkpoint_can_not_do_is_refused(sections: dict[str, Any]) -> None:
    sections["examples"]["task"] = "seq2seq"
    with pytest.raises(RecipeError, match="the checkpoint in start_from is a bert; name another one"):
        check_recipe(Recipe.model_validate(sections))
