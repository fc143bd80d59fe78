"""What the gate demands by default, and the exceptions that a recipe has to write down."""

import re
from pathlib import Path
from typing import Any

import pytest

from model_code.task_types.task import Settings, task_named
from tasks.evaluation import gate
from tasks.evaluation.gate import EvaluateConfig, judge_model, reasons
from tasks.evaluation.paired_bootstrap import measured

LABELS = ("a", "b", "c")
TRUTH = list("aaaaabbbcc") * 30


def evaluation(said: list[str], **baselines: list[str]) -> dict[str, Any]:
    """What `evaluate` finds of a classifier that says this."""
    task, settings = task_named("classification"), Settings("classification", LABELS)
    examples = [{"label": label} for label in TRUTH]
    rivals = {"majority": ["a"] * len(TRUTH), **baselines}
    intervals, comparisons = measured(task, examples, {"model": said, **rivals}, settings)
    return {
        "metric": task.METRIC,
        "model": task.metrics(examples, said, settings),
        "trivial": "majority",
        "baselines": {name: task.metrics(examples, other, settings) for name, other in rivals.items()},
        "unavailable": {},
        "intervals": intervals,
        "comparisons": comparisons,
        "pretrained": {"perplexity": 9.0},
        "champion": None,
    }


def wrong(every: int) -> list[str]:
    """The truth with every so many-th label wrong."""
    return ["c" if n % every == 0 else label for n, label in enumerate(TRUTH)]


def verdict(found: dict[str, Any], **config: Any) -> tuple[bool, str]:
    gate = judge_model(found, EvaluateConfig(**config))
    return gate["passed"], reasons(gate)


def test_a_constant_model_is_refused_unless_the_recipe_says_so() -> None:
    constant = evaluation(["a"] * len(TRUTH))
    passed, why = verdict(constant)
    assert not passed
    assert why == (
        "f1_macro over the baseline majority, clearly is 0.0000 (95 % interval +0.0000 to +0.0000), demanded "
        "above 0 in the whole interval"
    )
    assert verdict(constant, over_baseline=-1) == (True, "")


def test_a_model_that_is_better_by_chance_is_refused() -> None:
    lucky = evaluation(["b" if n == 5 else "a" for n in range(len(TRUTH))])
    assert lucky["comparisons"]["majority"]["difference"] > 0
    assert "majority, clearly" in verdict(lucky)[1]


def test_a_model_far_below_counted_words_is_refused_unless_the_recipe_says_so() -> None:
    found = evaluation(wrong(3), tfidf_logistic_regression=TRUTH)
    passed, why = verdict(found)
    assert not passed
    assert why.startswith("f1_macro over tfidf_logistic_regression is -0.")
    assert verdict(found, below_counted_words=0.5)[0]
    assert verdict(found, over_baseline=-1)[0]
    assert not verdict(found, over_baseline=-1, below_counted_words=0.05)[0]


def test_a_model_that_may_be_as_good_as_counted_words_passes() -> None:
    found = evaluation(wrong(10), tfidf_logistic_regression=wrong(11))
    assert found["comparisons"]["tfidf_logistic_regression"]["difference"] < 0
    assert verdict(found) == (True, "")


def test_minus_one_is_any_model_on_every_scale() -> None:
    far = evaluation(["c"] * len(TRUTH))
    far["model"]["f1_macro"] = -3.1  # as chrF, in points, may lie below a copy of the text
    assert verdict(far, over_baseline=-1)[0]
    assert not verdict(far, over_baseline=-0.5)[0]
    far["model"]["f1_macro"] = float("nan")
    assert not verdict(far, over_baseline=-1)[0]


def test_what_the_recipe_demands_over_the_baseline_counts_too() -> None:
    found = evaluation(wrong(3))
    assert verdict(found, over_baseline=0.2)[0]
    assert "demanded at least 0.9" in verdict(found, over_baseline=0.9)[1]


@pytest.mark.parametrize(
    ("missing", "config", "passed"),
    [
        ("tfidf_logistic_regression", {}, True),
        ("tfidf_logistic_regression", {"below_counted_words": 0}, True),
        ("majority", {}, False),
        ("majority", {"over_baseline": -1}, True),
    ],
)
def test_a_baseline_that_is_not_available_is_named(missing: str, config: Any, passed: bool) -> None:
    found = evaluation(wrong(10), tfidf_logistic_regression=wrong(11))
    for part in ("baselines", "comparisons"):
        del found[part][missing]
    found["unavailable"] = {missing: "empty vocabulary"}
    gate = judge_model(found, EvaluateConfig(**config))
    assert gate["passed"] is passed
    (named,) = (d["demand"] for d in gate["demands"] if "not available: empty vocabulary" in d["demand"])
    assert passed or f"is unknown, demanded {named}" in reasons(gate)


def test_the_rule_that_the_guide_shows_demands_something_of_every_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r'```python\n("""No label may be left out.*?)```', page, re.S)
    shown: dict[str, Any] = {}
    exec(code, shown)
    monkeypatch.setattr(gate, "RULES", (*gate.RULES, shown["every_label_is_predicted"]))
    found = evaluation(TRUTH)
    found["model"] |= {"f1_a": 1.0, "f1_c": 0.0}
    verdict = judge_model(found, EvaluateConfig())
    assert not verdict["passed"]
    assert reasons(verdict) == "f1_c is 0.0000, demanded at least 0.01"


def test_what_is_not_a_number_is_a_refusal_with_its_reason() -> None:
    found = evaluation(TRUTH)
    found["model"]["precision_macro"] = float("nan")
    gate = judge_model(found, EvaluateConfig())
    assert (gate["verdict"], gate["passed"]) == ("keep", False)
    assert reasons(gate) == (
        "precision_macro is nan, demanded a number (the model's answers or the test examples leave it "
        "undefined; look at both)"
    )


def test_every_demand_says_between_what_its_figure_lies() -> None:
    gate = judge_model(evaluation(wrong(10), tfidf_logistic_regression=wrong(11)), EvaluateConfig())
    assert gate["says"] == gate["verdict"] == "promote"
    for demand in gate["demands"]:
        assert demand["low"] <= demand["actual"] <= demand["high"]
        assert demand["smallest"] > 0
    own = judge_model(evaluation(wrong(10)), EvaluateConfig(at_least={"f1_macro": 0.5, "accuracy": 0.5}))
    assert own["demands"][0]["low"] < own["demands"][0]["actual"] < own["demands"][0]["high"]


@pytest.mark.parametrize(
    ("least", "config"),
    [("greater than 1", {"max_perplexity": 1}), ("or equal to 1", {"batch_size": 0})]
    + [("or equal to 0", {name: -0.01}) for name in ("below_counted_words", "below_champion")],
)
def test_values_that_no_model_could_meet_are_refused(least: str, config: Any) -> None:
    with pytest.raises(ValueError, match=least):
        EvaluateConfig(**config)
    (name,) = config
    assert EvaluateConfig(**{name: config[name] + 1})
