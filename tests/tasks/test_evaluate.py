"""The figures equal scikit-learn's and hand counts; the gate demands what the recipe says."""

import math
from typing import Any

import pytest
from sklearn.metrics import classification_report

from tasks.evaluate import EvaluateConfig, _majority, _tfidf, confusion_matrix, judge, per_label, scores

LABELS = ["a", "b", "c"]
TRUTH = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "a", "a"]
ALLOWING = EvaluateConfig(min_f1_over_majority=-1)


def test_scores_equal_hand_counts() -> None:
    # a: 2 of 4 predicted are right, 2 of 3 found; b: 1 of 2 and 1 of 2; c is never predicted.
    found = scores(TRUTH, PREDICTED, LABELS)
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["precision_macro"] == pytest.approx((2 / 4 + 1 / 2 + 0) / 3)
    assert found["recall_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["f1_macro"] == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert confusion_matrix(TRUTH, PREDICTED, LABELS) == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_scores_equal_scikit_learn() -> None:
    report = classification_report(TRUTH, PREDICTED, labels=LABELS, output_dict=True, zero_division=0)
    found = scores(TRUTH, PREDICTED, LABELS)
    macro = report["macro avg"]
    assert [found["precision_macro"], found["recall_macro"], found["f1_macro"]] == pytest.approx(
        [macro["precision"], macro["recall"], macro["f1-score"]]
    )
    for row in per_label(TRUTH, PREDICTED, LABELS):
        theirs = report[row["label"]]
        assert [row[name] for name in ("precision", "recall", "f1", "support")] == pytest.approx(
            [theirs[name] for name in ("precision", "recall", "f1-score", "support")]
        )


def test_label_that_the_test_lacks_counts_as_zero() -> None:
    assert scores(["a", "b"], ["a", "b"], LABELS)["f1_macro"] == pytest.approx(2 / 3)
    assert per_label(["a", "b"], ["a", "b"], LABELS)[2]["support"] == 0


def test_baselines_answer_from_the_training_texts() -> None:
    assert _majority(["b", "a", "b"], 2) == ["b", "b"]
    assert _majority(["b", "a"], 1) == ["a"]  # a tie is broken by name, not by order
    texts = ["roses in the garden", "tulips in the garden", "ships in the harbour", "docks in the harbour"]
    assert _tfidf(texts, ["g", "g", "h", "h"], ["a garden", "a harbour"]) == ["g", "h"]


def evaluation(f1: float = 0.8, accuracy: float = 0.8, **other: Any) -> dict[str, Any]:
    found = {
        "model": {"accuracy": accuracy, "f1_macro": f1},
        "baselines": {"majority": {"f1_macro": 0.1}},
        "pretrained": {"perplexity": 50.0},
        "champion": None,
    }
    return found | other


CHAMPION: dict[str, Any] = {"champion": {"version": 3, "f1_macro": 0.81}}


@pytest.mark.parametrize(
    ("found", "config", "name", "passed"),
    [
        (evaluation(), {"min_accuracy": 0.8}, "accuracy", True),
        (evaluation(), {"min_accuracy": 0.81}, "accuracy", False),
        (evaluation(), {"min_f1_macro": 0.8}, "macro F1", True),
        (evaluation(f1=0.79), {"min_f1_macro": 0.8}, "macro F1", False),
        (evaluation(), {"min_f1_over_majority": 0.69}, "macro F1 over majority baseline", True),
        (evaluation(), {"min_f1_over_majority": 0.71}, "macro F1 over majority baseline", False),
        (evaluation(), {"max_perplexity": 50.0}, "held-out perplexity", True),
        (evaluation(), {"max_perplexity": 49.0}, "held-out perplexity", False),
        (evaluation(**CHAMPION), {"max_f1_below_champion": 0.02}, "macro F1 against champion 3", True),
        (evaluation(**CHAMPION), {"max_f1_below_champion": 0.005}, "macro F1 against champion 3", False),
    ],
)
def test_every_demand_decides(found: dict[str, Any], config: dict[str, Any], name: str, passed: bool) -> None:
    verdict = judge(found, ALLOWING.model_copy(update=config))
    assert verdict["passed"] is passed
    by_name = {demand["name"]: demand["passed"] for demand in verdict["demands"]}
    assert by_name.pop(name) is passed
    assert all(by_name.values())


@pytest.mark.parametrize(
    "found",
    [
        evaluation(f1=math.nan),
        evaluation(accuracy=math.nan),
        evaluation(pretrained={"perplexity": math.nan}),
        evaluation(baselines={"majority": {"f1_macro": math.nan}}),
        evaluation(champion={"version": 1, "f1_macro": math.nan}),
    ],
)
def test_what_is_not_a_number_never_passes(found: dict[str, Any]) -> None:
    config = ALLOWING.model_copy(update={"max_perplexity": 1000.0})
    assert judge(evaluation(), config)["passed"] is True
    assert judge(found, config)["passed"] is False
