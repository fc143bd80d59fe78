"""What a model card says of where a model comes from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasks.tracking.model_card import model_card

EVALUATION: dict[str, Any] = {
    "task": "classification",
    "labels": ["bad", "good"],
    "test_examples": 40,
    "test_examples_in_training": 0,
    "model": {"accuracy": 0.9},
    "baselines": {"majority": {"accuracy": 0.5}},
    "seeds": {},
}


def manifest(config: Any = None, counts: Any = None, metrics: Any = None, external: Any = None) -> Any:
    return SimpleNamespace(
        config=config or {}, counts=counts or {}, metrics=metrics or {}, external=external or {}
    )


def test_a_model_of_a_published_checkpoint_has_neither_corpus_nor_pretraining() -> None:
    tuned = manifest(
        counts={"parameters at the start": 22_713_216},
        metrics={"best_epoch": 2.0, "seed": 0.0},
        external={"start_from": "someone/tiny@0123"},
    )
    card = model_card("reviews", {"examples": manifest(), "fine_tune": tuned}, EVALUATION)
    assert "A model for classification, fine-tuned from someone/tiny@0123, labels: bad, good." in card
    assert "| parameters at the start | 22,713,216 |" in card
    assert "pretraining steps" not in card
    assert "documents of the corpus" not in card


def test_a_model_of_a_corpus_says_so() -> None:
    made = {
        "clean": manifest(counts={"kept": 600}),
        "pretrain": manifest({"family": "bert", "steps": 30}),
        "examples": manifest(),
        "fine_tune": manifest(metrics={"best_epoch": 2.0, "seed": 0.0}),
    }
    card = model_card("topics", made, EVALUATION)
    assert "A model for classification, family bert" in card
    assert "| documents of the corpus | 600 |" in card
    assert "| pretraining steps | 30 |" in card
