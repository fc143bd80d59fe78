from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.task_types import classification
from model_code.task_types.labels import choice
from model_code.task_types.task import Settings

SETTINGS = Settings("classification", labels=tuple("abcd"))


def examples(labels: list[str]) -> list[dict[str, Any]]:
    return [{"text": "text", "label": label} for label in labels]


def test_the_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, predicted = (random.choice(list("abc"), 200).tolist() for _ in range(2))
    figures = classification.figures(examples(truth), predicted, SETTINGS)
    assert figures["f1_macro"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert figures["accuracy"] == pytest.approx(np.mean(np.array(truth) == np.array(predicted)))


def test_a_label_that_is_never_found_counts_against_the_macro_figures() -> None:
    found = classification.metrics(examples(list("aaaab")), list("aaaaa"), SETTINGS)
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["recall_macro"] == pytest.approx(1 / 4)


def test_smoothing_draws_nothing_towards_a_rare_label() -> None:
    settings = Settings("classification", ("a", "b"), label_smoothing=0.1, label_weights=(0.5, 40.0))
    found = torch.tensor([0.95, 0.05]).log().requires_grad_()  # the best answer for an example of a
    score = choice(found[None], torch.tensor([0]), settings)
    (gradient,) = torch.autograd.grad(score.loss, found)
    assert gradient.abs().max() < 1e-6
    assert score.loss.item() == pytest.approx(-0.5 * (0.95 * np.log(0.95) + 0.05 * np.log(0.05)))


def test_a_text_without_the_second_one_that_others_have_is_named(pretrained: Path) -> None:
    directory, mixed = (
        pretrained / "model",
        [{"id": "x:1", "text": "a", "second": "b"}, {"id": "x:2", "text": "a"}],
    )
    with pytest.raises(TrainingError, match="example x:2 has no second text, as others have"):
        classification.encode(mixed, load_tokenizer(directory), vocabulary_of(directory), SETTINGS)


def test_the_baselines_are_the_commonest_label_and_one_that_learns_words() -> None:
    train = [{"text": word, "label": label} for word, label in (("ham", "a"), ("spam", "b"), ("eggs", "b"))]
    said = classification.baselines(train, [{"text": "ham"}, {"text": "spam"}], SETTINGS)
    assert said == {"majority": ["b", "b"], "tfidf_logistic_regression": ["a", "b"]}
