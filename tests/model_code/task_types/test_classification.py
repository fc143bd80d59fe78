from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from model_code.task_types import classification
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


def test_the_baselines_are_the_commonest_label_and_one_that_learns_words() -> None:
    train = [{"text": word, "label": label} for word, label in (("ham", "a"), ("spam", "b"), ("eggs", "b"))]
    said = classification.baselines(train, [{"text": "ham"}, {"text": "spam"}], SETTINGS)
    assert said == {"majority": ["b", "b"], "tfidf_logistic_regression": ["a", "b"]}
