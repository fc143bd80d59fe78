"""The gate: what a recipe demands of a model before it may be registered, and what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from model_code.config.strict import Config
from tasks.contract.errors import StageError
from tasks.evaluation.demand import Demand, GateRule, at_least

ANY_VALUE = -1  # an `over_baseline` of this and less says in writing that any model will do
COUNTED_WORDS = "tfidf"  # the names of such baselines begin with it
WAY_OUT = "improve the data or the training, or change `evaluate` in the recipe"


class EvaluateConfig(Config):
    """What the gate demands of a model before it may be registered."""

    at_least: dict[str, float] = Field(
        {}, description="Lowest value on the test examples, by metric of the task."
    )
    over_baseline: float = Field(
        0.0,
        description="How far the task's main metric must lie above that of the most trivial baseline; and "
        "the 95 % interval of the difference must lie above 0. Negative is the exception in writing: it may "
        "lie so far below, with -1 and less any distance, however clearly, and below counted words unless "
        "below_counted_words is set.",
    )
    below_counted_words: float | None = Field(
        None,
        ge=0,
        description="How far the main metric may clearly, with its whole interval, lie below that of counted "
        "words (TF-IDF), where the task has that baseline. None: 0.",
    )
    max_perplexity: float | None = Field(None, gt=1, description="Of the pretrained model on held-out text.")
    below_champion: float = Field(
        0.005,
        ge=0,
        description="How far the task's main metric may lie below the champion's on the same examples.",
    )
    batch_size: int = Field(64, ge=1, le=1_000_000, description="Examples predicted at once.")


def judge_model(evaluation: Mapping[str, Any], config: EvaluateConfig) -> dict[str, Any]:
    """The gate's verdict: every demand of the recipe, what was found, and whether all are met.

    Raises:
        StageError: a metric is demanded that the task does not have.
    """
    demands = [demand for rule in RULES for demand in rule(evaluation, config)]
    met = [{**demand._asdict(), "passed": bool(demand.passed)} for demand in demands]
    return {"passed": all(demand["passed"] for demand in met), "demands": met}


def reasons(gate: Mapping[str, Any]) -> str:
    """Why the gate refused a model, in one line."""
    return "; ".join(
        f"{d['name']} is {'unknown' if d['actual'] is None else format(d['actual'], '.4f')}, "
        f"demanded {d['demand']}"
        for d in gate["demands"]
        if not d["passed"]
    )


def _at_least(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    model = evaluation["model"]
    if unknown := sorted(config.at_least.keys() - model.keys()):
        raise StageError(
            f"evaluate: the task has no metric {unknown[0]!r}; evaluate.at_least may name {', '.join(model)}"
        )
    yield from (at_least(name, model[name], lowest) for name, lowest in config.at_least.items())


def _of_pretraining(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    if config.max_perplexity is not None:
        found, most = evaluation["pretrained"]["perplexity"], config.max_perplexity
        yield Demand("held-out perplexity", f"at most {most:g}", found, found <= most)


def _against_champion(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    if champion := evaluation["champion"]:
        metric = evaluation["metric"]
        lowest = champion[metric] - config.below_champion
        name = f"{metric} against champion {champion['version']}"
        yield at_least(name, evaluation["model"][metric], lowest)


def _against_trivial(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    metric, lowest = evaluation["metric"], config.over_baseline
    trivial = evaluation.get("trivial") or next(iter(evaluation["baselines"]))
    name = f"{metric} over the baseline {trivial}"
    if reason := evaluation.get("unavailable", {}).get(trivial):
        yield Demand(name, f"at least {lowest:.4g} (baseline not available: {reason})", None, lowest < 0)
        return
    over = evaluation["model"][metric] - evaluation["baselines"][trivial][metric]
    if lowest <= ANY_VALUE:
        yield Demand(name, "any, as the recipe says", over, math.isfinite(over))
        return
    yield at_least(name, over, lowest)
    if lowest >= 0 and (compared := evaluation.get("comparisons", {}).get(trivial)):
        demand = f"above 0 in the whole interval, {interval(compared)}"
        yield Demand(f"{name}, clearly", demand, compared["difference"], compared["low"] > 0)


def _against_counted_words(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    if config.over_baseline < 0 and config.below_counted_words is None:
        return
    lowest = -(config.below_counted_words or 0)
    for name, compared in evaluation.get("comparisons", {}).items():
        if name.startswith(COUNTED_WORDS):
            demand = f"at least {lowest:.4g} somewhere in the interval, {interval(compared)}"
            title = f"{evaluation['metric']} over {name}"
            yield Demand(title, demand, compared["difference"], compared["high"] >= lowest)
    for name, reason in evaluation.get("unavailable", {}).items():
        if name.startswith(COUNTED_WORDS):
            demand = f"nothing (baseline not available: {reason})"
            yield Demand(f"{evaluation['metric']} over {name}", demand, None, True)


def interval(compared: Mapping[str, float]) -> str:
    """The interval of a difference in words, and how many examples it rests on."""
    examples, groups = (int(compared[name]) for name in ("examples", "groups"))
    of = f"{examples:,} examples" + (f" in {groups:,} groups" if groups < examples else "")
    return f"{compared['low']:+.3f} to {compared['high']:+.3f} (95 %, {of})"


# In the order in which they are shown; a rule of one's own is one more entry.
RULES: tuple[GateRule, ...] = (
    _at_least,
    _against_trivial,
    _against_counted_words,
    _of_pretraining,
    _against_champion,
)
