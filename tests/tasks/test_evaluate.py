"""The figures equal scikit-learn's and hand counts; the gate demands what the recipe says."""

import math
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import classification_report

from model_code.task_types.task import task_named
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.contract.workspace import Workspace
from tasks.evaluate import confusion_matrix, example_answers, per_label, write_evaluation, write_samples
from tasks.evaluation.gate import EvaluateConfig, judge_model

LABELS = ["a", "b", "c"]
TRUTH = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "a", "a"]
ALLOWING = EvaluateConfig(over_baseline=-1)


def test_figures_by_label_equal_scikit_learn() -> None:
    assert confusion_matrix(TRUTH, PREDICTED, LABELS) == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    report = classification_report(TRUTH, PREDICTED, labels=LABELS, output_dict=True, zero_division=0)
    for row in per_label(TRUTH, PREDICTED, LABELS):
        theirs = report[row["label"]]
        assert [row[name] for name in ("precision", "recall", "f1", "support")] == pytest.approx(
            [theirs[name] for name in ("precision", "recall", "f1-score", "support")]
        )


def test_label_that_the_test_lacks_counts_as_zero() -> None:
    assert per_label(["a", "b"], ["a", "b"], LABELS)[2]["support"] == 0


def test_samples_say_what_was_given_what_came_and_what_is_right() -> None:
    test = [{"id": f"{n}", "text": f"text {n}", "second": "other", "label": "a"} for n in range(100)]
    shown = example_answers(task_named("classification"), test, ["b"] * 100)
    assert len(shown) == 12
    assert shown[1] == {"given": "text 8\nother", "model": "b", "right": "a"}


def test_samples_of_tasks_without_a_target_and_with_several_labels() -> None:
    pairs = [{"id": "1", "first": "a", "second": "b"}]
    assert example_answers(task_named("matching"), pairs, [{"first": [1.0], "second": [1.0]}]) == []
    labelled = [{"id": "1", "text": "t", "labels": ["a", "b"]}]
    said = [{"labels": ["b"], "probabilities": {"a": 0.1, "b": 0.9}}]
    assert example_answers(task_named("multi_label"), labelled, said) == [
        {"given": "t", "model": "b", "right": "a b"}
    ]


def test_files_end_with_a_line_and_say_every_script(tmp_path: Path) -> None:
    workspace = Workspace("evaluate", "0" * 64, Store(tmp_path), tmp_path)
    write_evaluation({"labels": ["体育"]}, workspace)
    write_samples([], workspace)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        "evaluation.json": '{\n  "labels": [\n    "体育"\n  ]\n}\n',
    }
    write_samples([{"given": "体育"}], workspace)
    written = (tmp_path / "samples.json").read_text(encoding="utf-8")
    assert written == '[\n  {\n    "given": "体育"\n  }\n]\n'


def evaluation(f1: float = 0.8, accuracy: float = 0.8, **other: Any) -> dict[str, Any]:
    found = {
        "metric": "f1_macro",
        "model": {"accuracy": accuracy, "f1_macro": f1},
        "baselines": {"majority": {"f1_macro": 0.1}},
        "pretrained": {"perplexity": 50.0},
        "champion": None,
    }
    return found | other


CHAMPION: dict[str, Any] = {
    "champion": {"version": 3, "f1_macro": 0.81},
    "against_champion": {
        **{"difference": -0.01, "low": -0.016, "high": -0.004, "above": -0.018, "below": -0.002},
        **{"error": 0.003, "smallest": 0.01, "examples": 3000, "groups": 3000, "scale": 1.0},
    },
}


@pytest.mark.parametrize(
    ("found", "config", "name", "passed"),
    [
        (evaluation(), {"at_least": {"accuracy": 0.8}}, "accuracy", True),
        (evaluation(), {"at_least": {"accuracy": 0.81}}, "accuracy", False),
        (evaluation(), {"at_least": {"f1_macro": 0.8}}, "f1_macro", True),
        (evaluation(f1=0.79), {"at_least": {"f1_macro": 0.8}}, "f1_macro", False),
        (evaluation(), {"over_baseline": 0.69}, "f1_macro over the baseline majority", True),
        (evaluation(), {"over_baseline": 0.71}, "f1_macro over the baseline majority", False),
        (evaluation(), {"max_perplexity": 50.0}, "held-out perplexity", True),
        (evaluation(), {"max_perplexity": 49.0}, "held-out perplexity", False),
        (evaluation(**CHAMPION), {"below_champion": 0.02}, "f1_macro against champion 3", True),
        (evaluation(**CHAMPION), {"below_champion": 0.005}, "f1_macro against champion 3", False),
    ],
)
def test_every_demand_decides(found: dict[str, Any], config: dict[str, Any], name: str, passed: bool) -> None:
    verdict = judge_model(found, ALLOWING.model_copy(update=config))
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
        evaluation(**CHAMPION | {"champion": {"version": 1, "f1_macro": math.nan}}),
    ],
)
def test_what_is_not_a_number_never_passes(found: dict[str, Any]) -> None:
    config = ALLOWING.model_copy(update={"max_perplexity": 1000.0, "at_least": {"accuracy": 0.0}})
    assert judge_model(evaluation(), config)["passed"] is True
    assert judge_model(found, config)["passed"] is False


def test_a_metric_that_the_task_lacks_is_named() -> None:
    with pytest.raises(StageError, match=r"no metric 'bleu'; evaluate\.at_least may name accuracy, f1_macro"):
        judge_model(evaluation(), EvaluateConfig(at_least={"bleu": 15}))
