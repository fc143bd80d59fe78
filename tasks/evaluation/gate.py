"""The gate: what a recipe demands of a model before it may go live, and what was found.

promote         every demand is met
keep            one is not: what is live stays
inconclusive    the test examples can't tell whether one is met; how many more could is said
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from model_code.config.strict import Config
from tasks.contract.errors import StageError
from tasks.evaluation.against_champion import against_champion
from tasks.evaluation.demand import Demand, GateRule, at_least

ANY_VALUE = -1  # an `over_baseline` of this and less says in writing that any model will do
COUNTED_WORDS = "tfidf"  # the names of such baselines begin with it
PROMOTE, KEEP, INCONCLUSIVE = "promote", "keep", "inconclusive"
UNDECIDED = "the gate can't tell whether the model is good enough"
WAY_OUT = "improve the data or the training, or change `evaluate` in the recipe"
WAY_OUT_OF_DOUBT = (
    "give it more test examples, allow more (`evaluate.below_champion`), or let it go live in doubt "
    "(`evaluate.in_doubt: promote`)"
)


class EvaluateConfig(Config):
    """What the gate demands of a model before it may go live."""

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
    below_champion: float | None = Field(
        None,
        ge=0,
        description="How far a new version's main metric may lie below the champion's on the same examples. "
        "It goes live when the 99 % interval of the difference lies nowhere further below. None: 0.02, or "
        "2 where a perfect score is 100. A perfect score (1 or 100) lets any model pass.",
    )
    over_champion: float | None = Field(
        None,
        ge=0,
        description="Demand an improvement instead: how far it must certainly lie above the champion's.",
    )
    most_over_champion: float | None = Field(
        None,
        gt=0,
        description="A larger gain over the champion is too good to be true, and refused. None: 0.3, or 30 "
        "where a perfect score is 100.",
    )
    in_doubt: Literal["keep", "promote"] = Field(
        "keep",
        description="What goes live where the test examples can't tell whether the new version is as good: "
        "the champion stays (keep), or the new version goes live (promote).",
    )
    batch_size: int = Field(64, ge=1, le=1_000_000, description="Examples predicted at once.")


def judge_model(evaluation: Mapping[str, Any], config: EvaluateConfig) -> dict[str, Any]:
    """The gate's verdict: every demand of the recipe, what was found, and what follows.

    `passed` is whether the model goes on, `says` the verdict in a few words.

    Raises:
        StageError: a metric is demanded that the task does not have.
    """
    demands = [demand for rule in RULES for demand in rule(evaluation, config)]
    unmet = [demand for demand in demands if not demand.passed]
    verdict = PROMOTE if not unmet else INCONCLUSIVE if all(d.needs for d in unmet) else KEEP
    needs = max((d.needs or 0 for d in unmet), default=0) if verdict == INCONCLUSIVE else 0
    passed = verdict == PROMOTE or (verdict == INCONCLUSIVE and config.in_doubt == PROMOTE)
    return {
        "verdict": verdict,
        "needs": needs,
        "says": f"{verdict}: needs {needs:,} more examples" if needs else verdict,
        "passed": passed,
        "demands": [{**demand._asdict(), "passed": bool(demand.passed)} for demand in demands],
    }


def reasons(gate: Mapping[str, Any]) -> str:
    """Why the gate did not let a model through, in one line."""
    return "; ".join(
        f"{d['name']} is {_figure(d)}, demanded {d['demand']}" + (f" ({d['says']})" if d.get("says") else "")
        for d in gate["demands"]
        if not d["passed"]
    )


def _figure(demand: Mapping[str, Any]) -> str:
    if demand["actual"] is None:
        return "unknown"
    low, high = demand.get("low"), demand.get("high")
    known = "" if low is None or high is None else f" (95 % interval {low:+.4f} to {high:+.4f})"
    return f"{demand['actual']:.4f}{known}"


def refused(gate: Mapping[str, Any]) -> str:
    """The sentence that a run ends with."""
    if gate.get("verdict") == INCONCLUSIVE:
        return f"{UNDECIDED} ({gate['says']}): {reasons(gate)}"
    return f"the gate refused the model: {reasons(gate)}"


def way_out(gate: Mapping[str, Any]) -> str:
    """What a person can do about it."""
    return WAY_OUT_OF_DOUBT if gate.get("verdict") == INCONCLUSIVE else WAY_OUT


def _are_numbers(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    for name, value in evaluation["model"].items():
        if not math.isfinite(value):
            says = "the model's answers or the test examples leave it undefined; look at both"
            yield Demand(name, "a number", value, False, says=says)


def _at_least(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    model = evaluation["model"]
    if unknown := sorted(config.at_least.keys() - model.keys()):
        raise StageError(
            f"evaluate: the task has no metric {unknown[0]!r}; evaluate.at_least may name {', '.join(model)}"
        )
    own = evaluation.get("intervals", {}).get("model", {})
    for name, lowest in config.at_least.items():
        shown = {side: own.get(side) for side in ("low", "high")} if name == evaluation["metric"] else {}
        yield at_least(name, model[name], lowest)._replace(**shown)


def _of_pretraining(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    if config.max_perplexity is not None:
        found, most = evaluation["pretrained"]["perplexity"], config.max_perplexity
        yield Demand("held-out perplexity", f"at most {most:g}", found, found <= most)


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
    compared = evaluation.get("comparisons", {}).get(trivial, {})
    yield at_least(name, over, lowest)._replace(**_shown(compared))
    if lowest >= 0 and compared:
        demand = "above 0 in the whole interval"
        passed = compared["low"] > 0
        yield Demand(f"{name}, clearly", demand, compared["difference"], passed, **_shown(compared))


def _against_counted_words(evaluation: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Demand]:
    if config.over_baseline < 0 and config.below_counted_words is None:
        return
    lowest = -(config.below_counted_words or 0)
    for name, compared in evaluation.get("comparisons", {}).items():
        if name.startswith(COUNTED_WORDS):
            demand = f"at least {lowest:.4g} somewhere in the interval"
            title = f"{evaluation['metric']} over {name}"
            passed = compared["high"] >= lowest
            yield Demand(title, demand, compared["difference"], passed, **_shown(compared))
    for name, reason in evaluation.get("unavailable", {}).items():
        if name.startswith(COUNTED_WORDS):
            demand = f"nothing (baseline not available: {reason})"
            yield Demand(f"{evaluation['metric']} over {name}", demand, None, True)


def _shown(compared: Mapping[str, Any]) -> dict[str, Any]:
    return {name: compared.get(name) for name in ("low", "high", "smallest")}


def interval(compared: Mapping[str, float]) -> str:
    """The interval of a difference in words, and how many examples it rests on."""
    examples, groups = (int(compared[name]) for name in ("examples", "groups"))
    of = f"{examples:,} examples" + (f" in {groups:,} groups" if groups < examples else "")
    return f"{compared['low']:+.3f} to {compared['high']:+.3f} (95 %, {of})"


# In the order in which they are shown; a rule of one's own is one more entry.
RULES: tuple[GateRule, ...] = (
    _are_numbers,
    _at_least,
    _against_trivial,
    _against_counted_words,
    _of_pretraining,
    against_champion,
)
