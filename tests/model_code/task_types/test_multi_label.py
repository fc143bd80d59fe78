import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune, label_weights
from model_code.job import Job
from model_code.predict import Predictor
from model_code.task_types import multi_label
from model_code.task_types.task import Settings, options_of, task_named
from tests.model_code.conftest import quiet_reporter, sentences

KEYWORDS = ("bara", "sozo", "mote")
SETTINGS = Settings("multi_label", labels=KEYWORDS, max_length=64, options=multi_label.Options())


def toy_examples(count: int, seed: int) -> list[dict[str, Any]]:
    """Sentences whose labels are the keywords in them: none, one or several."""
    rng = random.Random(seed)
    rows = []
    for sentence in sentences(count, seed):
        labels = sorted(rng.sample(KEYWORDS, rng.randint(0, 3)))
        words = [*(word for word in sentence.split() if word not in KEYWORDS), *labels]
        rows.append({"text": " ".join(rng.sample(words, len(words))), "labels": labels})
    return rows


@pytest.fixture(scope="module")
def classifier(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of a classifier that learned to find the keywords."""
    home = tmp_path_factory.mktemp("multi_label")
    (home / "data").mkdir()
    for split, count, seed in (("train", 480, 3), ("validation", 60, 4)):
        lines = "".join(json.dumps(row) + "\n" for row in toy_examples(count, seed))
        (home / "data" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    paths = {"model": pretrained / "model"} | {name: home / name for name in ("data", "output", "scratch")}
    values = {"task": "multi_label", "max_length": 64, "batch_size": 16, "epochs": 4, "learning_rate": 5e-3}
    fine_tune(Job(paths, values), quiet_reporter())
    return home / "output" / "model"


def test_every_keyword_of_a_text_is_found_and_no_other(classifier: Path) -> None:
    test = toy_examples(100, seed=5)
    predictions = Predictor(classifier).predict(test)
    found = multi_label.metrics(test, predictions, SETTINGS)
    assert found["f1_macro"] > 0.9
    assert found["average_precision"] > 0.95
    assert any(len(said["labels"]) == 3 for said in predictions)
    assert any(said["labels"] == [] for said in predictions)
    assert all(list(said["probabilities"]) == sorted(KEYWORDS) for said in predictions)
    config = AutoModelForSequenceClassification.from_pretrained(classifier).config
    assert config.problem_type == "multi_label_classification"


def test_the_loss_is_the_weighted_mean_over_all_labels_of_all_texts(pretrained: Path) -> None:
    directory, examples = pretrained / "model", toy_examples(6, seed=6)
    settings = Settings("multi_label", KEYWORDS, 64, 0.0, 0.2, (1.0, 2.0, 0.5), multi_label.Options())
    torch.manual_seed(0)
    model = multi_label.load(directory, vocabulary_of(directory), settings).train(False)
    data = multi_label.encode(examples, load_tokenizer(directory), vocabulary_of(directory), settings)
    batch = data.batch(np.arange(6))
    score = multi_label.scores(model, batch.tensors, settings)["label"]
    logits = multi_label.label_logits(model, batch.tensors)
    truth = torch.tensor([[float(label in row["labels"]) for label in KEYWORDS] for row in examples])
    weights = torch.where(truth > 0, torch.tensor([1, 2, 0.5]), 1)
    expected = binary_cross_entropy_with_logits(logits, truth * 0.8 + 0.1, weights, reduction="sum")
    assert batch.targets == {"label": pytest.approx(weights.sum().item())}
    pairs = multi_label.logits(model, batch.tensors).softmax(-1)
    assert torch.allclose(pairs[:, 1], logits.sigmoid().flatten())
    assert score.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def answers(rows: list[list[str]]) -> list[dict[str, Any]]:
    return [
        {"labels": row, "probabilities": {label: float(label in row) for label in KEYWORDS}} for row in rows
    ]


def test_weights_even_out_the_texts_with_and_without_a_label() -> None:
    examples = [{"labels": labels} for labels in (["a"], ["a", "b"], ["a"], [])]
    assert label_weights(task_named("multi_label"), examples, ["a", "b"]) == pytest.approx((1 / 3, 3))


def test_a_single_label_is_there_or_not() -> None:
    settings = Settings("multi_label", ("a",), options=multi_label.Options())
    rows = [{"text": text, "labels": labels} for text, labels in (("ham", ["a"]), ("eggs", []), ("salt", []))]
    said = multi_label.baselines(rows, rows, settings)["tfidf_logistic_regression"]
    assert [answer["labels"] for answer in said] == [["a"], [], []]
    figures = multi_label.metrics(rows, said[1:] + said[:1], settings)
    assert figures["f1_micro"] == figures["f1_macro"] == 0
    assert multi_label.metrics(rows, said, settings)["f1_macro"] == 1


def test_without_a_label_in_the_test_examples_nothing_is_found() -> None:
    rows = [{"labels": []}, {"labels": []}]
    figures = multi_label.metrics(rows, answers([[], []]), SETTINGS)
    assert set(figures.values()) == {0.0}


def test_the_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, said = (
        [[label for label in KEYWORDS[:count] if rng.random() < 0.4] for _ in range(50)] for count in (3, 2)
    )
    columns = [[[label in row for label in KEYWORDS] for row in rows] for rows in (truth, said)]
    found = multi_label.figures([{"labels": row} for row in truth], answers(said), SETTINGS)
    for average in ("micro", "macro"):
        assert found[f"f1_{average}"] == pytest.approx(f1_score(*columns, average=average, zero_division=0))
    figures = multi_label.metrics([{"labels": row} for row in truth], answers(said), SETTINGS)
    assert found == pytest.approx({name: figures[name] for name in found})


def test_a_label_that_the_test_lacks_does_not_count_in_the_average_precision() -> None:
    examples: list[dict[str, Any]] = [{"labels": ["bara"]}, {"labels": []}]
    said = answers([["bara"], ["mote"]])
    assert multi_label.metrics(examples, said, SETTINGS)["average_precision"] == 1


def test_the_threshold_decides() -> None:
    said = multi_label._answers(np.array([[0.2, 0.3, 0.9]]), SETTINGS, 0.3)
    assert said[0]["labels"] == ["sozo", "mote"]
    with pytest.raises(TrainingError, match="the threshold is 1"):
        options_of(task_named("multi_label"), {"threshold": 1})


def test_the_baselines_are_the_commonest_labels_and_one_that_learns_words() -> None:
    train = [
        {"text": "ham", "labels": ["bara", "mote"]},
        {"text": "spam", "labels": ["mote"]},
        {"text": "eggs", "labels": []},
        {"text": "peas", "labels": ["sozo"]},
    ]
    test: list[dict[str, Any]] = [{"text": "ham"}, {"text": "eggs"}]
    said = multi_label.baselines(train * 5, test, SETTINGS)
    assert [each["labels"] for each in said["commonest"]] == [["mote"], ["mote"]]
    assert [each["labels"] for each in said["tfidf_logistic_regression"]] == [["bara", "mote"], []]


def test_a_label_given_twice_is_refused() -> None:
    assert multi_label.fault({"labels": ["a", "b", "a"]}) == "it has the label 'a' twice"
    assert not multi_label.fault({"labels": []})
    assert multi_label.labels_of([{"labels": ["b", "a"]}, {"labels": []}, {"labels": ["a"]}]) == ["a", "b"]
