"""The card says what the model is, what it learnt from, how good it is, and what it may tell of its data."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.contract.artifact import Manifest
from tasks.tracking.model_card import model_card
from tests.release_artifacts import evaluation


def manifests(**tuned: float) -> dict[str, Manifest]:
    """Those that the card reads."""
    described: dict[str, dict[str, Any]] = {
        "pretrain": {"config": {"family": "bert", "steps": 12000}},
        "fine_tune": {"metrics": {"best_epoch": 2, "seed": 7} | tuned},
        "examples": {"counts": {"train examples": 3000, "test examples": 5}},
        "clean": {"counts": {"kept": 69864}},
    }
    empty: dict[str, Any] = {"inputs": {}, "config": {}, "files": {}, "counts": {}, "metrics": {}}
    empty |= {"external": {}, "code": "", "seconds": 0, "made_at": "", "key": "k", "digest": "d"}
    return {stage: Manifest(stage=stage, **empty | said) for stage, said in described.items()}


def rows(card: str) -> list[list[str]]:
    """The rows of its tables."""
    lines = [line for line in card.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_sections_that_readers_look_for_are_there_in_their_order() -> None:
    card = model_card("router", manifests(), evaluation())
    titles = [line for line in card.splitlines() if line.startswith("#")]
    assert titles == ["# router", "## Training", "## Evaluation", "## Privacy"]
    assert "A model for classification, family bert, labels: garden, harbour, kitchen." in card
    assert card.endswith("\n")


def test_the_figures_are_those_of_the_stages() -> None:
    found = rows(model_card("router", manifests(), evaluation()))
    for row in (
        ["documents of the corpus", "69,864"],
        ["pretraining steps", "12,000"],
        ["train examples", "3,000"],
        ["best epoch", "2"],
        ["seed", "7"],
        ["", "accuracy", "f1_macro"],
        ["this model", "0.75", "0.8"],
        ["majority", "0.5", "0.25"],
    ):
        assert row in found


@pytest.mark.parametrize(("seen", "said"), [(0, "none"), (3, "3")])
def test_it_says_how_much_of_the_test_training_has_seen(seen: int, said: str) -> None:
    card = model_card("router", manifests(), evaluation(test_examples_in_training=seen))
    assert f"On 5 test examples, {said} of which training has seen:" in card


def test_a_task_without_labels_names_none() -> None:
    card = model_card("search", manifests(), evaluation(task="question_answering", labels=[]))
    assert "A model for question answering, family bert.\n" in card


def test_of_several_seeds_mean_and_deviation_are_told() -> None:
    assert "seeds" not in model_card("router", manifests(), evaluation())
    seeds = {
        "models": [{}, {}, {}],
        "mean": {"f1_macro": 0.7},
        "standard_deviation": {"f1_macro": 0.03125},
    }
    card = model_card("router", manifests(), evaluation(seeds=seeds))
    assert "Over 3 seeds:" in card
    assert ["mean", "0.7"] in rows(card)
    assert ["standard deviation", "0.03125"] in rows(card)


def test_what_may_be_found_in_the_model_is_said() -> None:
    assert "Trained without differential privacy: what it learnt from may be found in it." in model_card(
        "router", manifests(), evaluation()
    )
    private = model_card("router", manifests(epsilon=3.5, delta=1e-5, noise_multiplier=0.75), evaluation())
    assert "epsilon 3.5, delta 1e-05, noise multiplier 0.75. This holds for the examples" in private
    assert "It does not cover what the model was pretrained on" in private


def test_a_model_of_a_published_checkpoint_has_neither_corpus_nor_pretraining() -> None:
    of_stages = manifests()
    made = {stage: of_stages[stage] for stage in ("examples", "fine_tune")}
    made["fine_tune"] = made["fine_tune"].model_copy(
        update={"external": {"start_from": "someone/tiny@0123"}, "counts": {"parameters at the start": 9}}
    )
    card = model_card("reviews", made, evaluation())
    assert "A model for classification, fine-tuned from someone/tiny@0123, labels: garden" in card
    assert ["test examples", "5"] in rows(card)
    assert "pretraining steps" not in card
    assert "documents of the corpus" not in card


def test_a_checkpoint_that_was_pretrained_further_is_named() -> None:
    made = manifests()
    further = {"config": {"family": "", "steps": 500}, "external": {"start_from": "checkpoints/minilm"}}
    made["pretrain"] = made["pretrain"].model_copy(update=further)
    card = model_card("tickets", made, evaluation())
    assert "A model for classification, pretrained further and fine-tuned from checkpoints/minilm, la" in card
    assert ["pretraining steps", "500"] in rows(card)
