"""The three verdicts of a new version against the one that is live."""

import json
import random
import re
from typing import Any

import pytest

from model_code.task_types.task import Settings, task_named
from tasks.evaluation.gate import EvaluateConfig, judge_model, reasons, refused, way_out
from tasks.evaluation.paired_bootstrap import measured

TASK, SETTINGS = task_named("classification"), Settings("classification", ("a", "b"))
WORDS = ("won", "lost")


def answers(count: int, accuracy: float, seed: int) -> list[str]:
    """What a model says that is right so often; the truth is a, b, a, b, …"""
    rng = random.Random(seed)
    return ["ab"[(n + (rng.random() > accuracy)) % 2] for n in range(count)]


def evaluation(said: list[str], champions: list[str], task: Any = TASK) -> dict[str, Any]:
    """What `evaluate` finds, as far as these rules read it."""
    examples = [{"label": "ab"[n % 2]} for n in range(len(said))]
    answered = {"model": said, "majority": ["a"] * len(said), "champion": champions}
    intervals, comparisons = measured(task, examples, answered, SETTINGS)
    figures = {name: task.metrics(examples, each, SETTINGS) for name, each in answered.items()}
    return {
        **{"metric": task.METRIC, "model": figures["model"], "trivial": "majority", "intervals": intervals},
        **{"baselines": {"majority": figures["majority"]}, "pretrained": {}, "test_examples": len(said)},
        "comparisons": {"majority": comparisons["majority"]},
        "champion": {"version": 3, **figures["champion"]},
        "against_champion": comparisons["champion"],
    }


def judged(found: dict[str, Any], **config: Any) -> dict[str, Any]:
    return judge_model(found, EvaluateConfig(**config))


def test_one_that_is_surely_better_goes_live() -> None:
    gate = judged(evaluation(answers(600, 0.95, 1), answers(600, 0.85, 2)), over_champion=0.02)
    assert (gate["verdict"], gate["needs"], gate["passed"]) == ("promote", 0, True)


def test_one_that_is_surely_not_worse_than_allowed_goes_live() -> None:
    found = evaluation(answers(4000, 0.95, 1), answers(4000, 0.95, 2))
    assert judged(found)["verdict"] == "promote"
    assert judged(found, below_champion=0.001)["verdict"] != "promote"


def test_one_that_seems_worse_than_allowed_does_not_and_more_examples_are_no_way_out() -> None:
    gate = judged(evaluation(answers(600, 0.75, 1), answers(600, 0.85, 2)))
    assert (gate["verdict"], gate["says"], gate["needs"]) == ("keep", "keep", 0)
    assert refused(gate).startswith("the gate refused the model: f1_macro against champion 3 is -0.")
    assert "demanded not more than 0.02 below with 99 % certainty" in reasons(gate)


def test_few_examples_can_not_tell_and_it_is_said_how_many_could() -> None:
    found = evaluation(answers(200, 0.85, 1), answers(200, 0.85, 2))
    gate = judged(found)
    assert (gate["verdict"], gate["passed"]) == ("inconclusive", False)
    said = re.fullmatch(r"inconclusive: needs ([\d,]+) more examples", gate["says"])
    assert said
    assert int(said[1].replace(",", "")) == gate["needs"] > 1000
    assert refused(gate).startswith(f"the gate can't tell whether the model is good enough ({gate['says']})")
    assert "evaluate.in_doubt: promote" in way_out(gate)
    assert re.search(r"200 examples show differences from 0\.\d+ on, not of 0\.02", reasons(gate))
    assert judged(found, in_doubt="promote") == gate | {"passed": True}


def test_as_many_examples_as_it_asks_for_are_enough() -> None:
    enough = 0
    for seed in range(20):
        pair = answers(300, 0.9, seed), answers(300, 0.9, seed + 100)
        gate = judged(evaluation(*pair), below_champion=0.06)
        if gate["verdict"] == "inconclusive":
            count = 300 + gate["needs"]
            pair = answers(count, 0.9, seed), answers(count, 0.9, seed + 100)
            enough += judged(evaluation(*pair), below_champion=0.06)["verdict"] == "promote"
        else:
            enough += 1
    assert enough >= 13  # four in five of equally good models, or more


def test_a_test_set_that_can_not_show_the_margin_says_so_even_when_a_model_passes() -> None:
    found = evaluation(answers(300, 0.97, 1), answers(300, 0.85, 2))
    gate = judged(found)
    row = next(d for d in gate["demands"] if d["name"] == "f1_macro against champion 3")
    assert row["passed"]
    assert "300 examples show differences from" in row["says"]


def test_doubt_about_one_demand_does_not_hide_that_another_is_not_met() -> None:
    found = evaluation(answers(200, 0.85, 1), answers(200, 0.85, 2))
    assert judged(found, at_least={"accuracy": 0.99})["verdict"] == "keep"
    assert judged(found, at_least={"accuracy": 0.99}, in_doubt="promote")["passed"] is False


def test_a_gain_that_is_too_good_to_be_true_is_refused_with_where_to_look() -> None:
    found = evaluation(answers(300, 0.99, 1), answers(300, 0.6, 2)) | {"test_examples_in_training": 120}
    gate = judged(found)
    assert gate["verdict"] == "keep"
    assert "gain over champion 3 is 0." in reasons(gate)
    assert "120 of 300 have an input that training has too" in reasons(gate)
    assert judged(found, most_over_champion=0.5)["verdict"] == "promote"


def test_a_margin_of_a_perfect_score_lets_any_model_pass() -> None:
    found = evaluation(answers(50, 0.1, 1), answers(50, 0.99, 2))
    assert judged(found, over_baseline=-1, below_champion=1)["verdict"] == "promote"
    found["against_champion"]["difference"] = found["model"]["f1_macro"] = float("nan")
    assert judged(found, over_baseline=-1, below_champion=1)["verdict"] == "keep"


def test_a_champion_without_a_figure_is_named() -> None:
    found = evaluation(answers(50, 0.9, 1), answers(50, 0.9, 2))
    found["champion"]["f1_macro"] = float("nan")
    gate = judged(found)
    assert gate["verdict"] == "keep"
    assert "take the alias 'champion' from it in MLflow" in reasons(gate)


def test_metrics_up_to_100_are_judged_by_points() -> None:
    task = task_named("seq2seq")
    examples = [{"target": f"the {n} cats sat on a mat in the rain"} for n in range(60)]
    said = [example["target"] if n % 3 else "no" for n, example in enumerate(examples)]
    said_before = [example["target"] if n % 3 != 1 else "no" for n, example in enumerate(examples)]
    answered = {"model": said, "champion": said_before}
    found = measured(task, examples, answered, Settings("seq2seq")).comparisons["champion"]
    assert found["scale"] == 100
    whole = evaluation(answers(60, 0.9, 1), answers(60, 0.9, 2))
    whole |= {"against_champion": found}
    gate = judged(whole)
    assert "not more than 2 below" in reasons(gate)
    assert judged(whole, below_champion=1)["verdict"] != "promote"
    assert judged(whole, below_champion=100)["verdict"] == "promote"


def test_the_same_inputs_give_the_same_bytes() -> None:
    pair = answers(500, 0.9, 1), answers(500, 0.88, 2)
    one, again = (json.dumps(judged(evaluation(*pair))) for _ in range(2))
    assert one == again


@pytest.mark.parametrize("config", [{"over_champion": -0.1}, {"most_over_champion": 0}, {"in_doubt": "wait"}])
def test_values_that_mean_nothing_are_refused(config: Any) -> None:
    with pytest.raises(ValueError, match="Input should be"):
        EvaluateConfig(**config)
