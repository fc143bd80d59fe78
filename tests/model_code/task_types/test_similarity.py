import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.runtime import prepare
from model_code.task_types import similarity
from model_code.task_types.task import Settings
from model_code.training.optimizer import MixedOptimizer

SETTINGS = Settings("similarity", max_length=16, options=similarity.Options())
PAIRS: list[dict[str, Any]] = [
    {"first": "bara kezo", "second": "mote lidu", "score": 0.0},
    {"first": "bara kezo", "second": "sodu pate", "score": 5.0},
    {"first": "nuvi rira", "second": "sozo lite", "score": 3.0},
    {"first": "nuvi rira", "second": "kete bavi", "score": 1.5},
]


def test_training_puts_pairs_in_the_order_of_their_scores(pretrained: Path) -> None:
    directory = pretrained / "model"
    model = similarity.load(directory, vocabulary_of(directory), SETTINGS)
    tokenizer, vocabulary = load_tokenizer(directory), vocabulary_of(directory)
    data = similarity.encode(PAIRS, tokenizer, vocabulary, SETTINGS)
    batch = data.batch(np.arange(4))
    optimizer = MixedOptimizer(model, 2e-3, 0.0)
    losses = []
    for _ in range(30):
        loss = similarity.scores(model, batch.tensors, SETTINGS)["pair"].loss / batch.targets["pair"]
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.5 < losses[0]
    asked = [{name: value for name, value in pair.items() if name != "score"} for pair in PAIRS]
    unscored = similarity.encode(asked, tokenizer, vocabulary, SETTINGS)
    predictions = similarity.predict(model, unscored, prepare("float32"), 3, SETTINGS)
    assert similarity.metrics(PAIRS, predictions, SETTINGS)["spearman"] == pytest.approx(1)


def test_the_loss_counts_each_pair_of_pairs_in_the_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = torch.tensor([0.9, 0.1, 0.4])
    monkeypatch.setattr(similarity, "cosines", lambda model, tensors, settings: [found])
    settings = Settings("similarity", options=similarity.Options(temperature=0.5))
    loss = similarity.scores(None, {"grades": torch.tensor([1.0, 2.0, 2.0])}, settings)["pair"].loss
    expected = math.log(1 + math.exp((0.9 - 0.1) / 0.5) + math.exp((0.9 - 0.4) / 0.5))
    assert loss.item() == pytest.approx(3 * expected, rel=1e-5)


def test_the_correlation_is_that_of_scipy_with_equal_values_too() -> None:
    random = np.random.default_rng(0)
    truth, found = random.integers(0, 5, 80).tolist(), random.integers(0, 9, 80).tolist()
    expected = spearmanr(truth, found).statistic
    examples = [{"score": score} for score in truth]
    assert similarity.figures(examples, found, SETTINGS)["spearman"] == pytest.approx(expected)
    assert similarity.metrics(examples, found, SETTINGS)["spearman"] == pytest.approx(expected)


def test_equal_predictions_are_no_correlation() -> None:
    examples = [{"score": score} for score in (0.0, 1.0, 2.0)]
    for figures in (similarity.figures, similarity.metrics):
        assert figures(examples, [0.3] * 3, SETTINGS)["spearman"] == 0


def test_the_baselines_are_a_constant_and_common_words() -> None:
    test: list[dict[str, Any]] = [
        {"first": "a red cat", "second": "the red cat"},
        {"first": "a red cat", "second": "two dogs"},
    ]
    said = similarity.baselines(PAIRS + test, test, SETTINGS)
    assert said["constant"] == [0, 0]
    assert said["tfidf"][0] > said["tfidf"][1] == 0


def test_dimensions_add_their_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, short = torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.3])
    grades = {"grades": torch.tensor([1.0, 2.0])}

    def loss(*found: torch.Tensor) -> float:
        monkeypatch.setattr(similarity, "cosines", lambda model, tensors, settings: list(found))
        return float(similarity.scores(None, grades, SETTINGS)["pair"].loss)

    assert loss(whole, short) == pytest.approx(loss(whole) + loss(short))
