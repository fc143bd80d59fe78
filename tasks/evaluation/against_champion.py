"""The rule of the gate that a new version is held against the one that is live: evidence, not luck.

What was measured on the same examples is a difference with an error. A new version goes live when its 99 %
interval lies nowhere further below the champion than the recipe allows; where the recipe demands an
improvement, when the whole interval lies so far above. When the examples can't tell, the gate says how
many more could. When the new version does not even seem good enough, more examples are not the way out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.evaluation.certainty import SURE, examples_needed
from tasks.evaluation.demand import Demand

ALLOWED_BELOW = 0.02  # of a perfect score
TOO_GOOD = 0.3  # of a perfect score
SURELY = f"with {100 * SURE:.0f} % certainty"


def against_champion(evaluation: Mapping[str, Any], config: Any) -> Iterator[Demand]:
    """Not worse than allowed, or as much better as demanded; and not better than can be believed."""
    if not (champion := evaluation["champion"]):
        return
    found, metric = evaluation["against_champion"], evaluation["metric"]
    name = f"{metric} against champion {champion['version']}"
    if not math.isfinite(champion[metric]):
        said = (
            f"that of the champion is {champion[metric]}, so nothing can be compared with it; take the alias "
            "'champion' from it in MLflow to go on without a comparison"
        )
        yield Demand(name, "a number on both sides", None, False, says=said)
        return
    difference, scale = found["difference"], found["scale"]
    shown = {"low": found["low"], "high": found["high"], "smallest": found["smallest"]}
    allowed = ALLOWED_BELOW * scale if config.below_champion is None else config.below_champion
    if config.over_champion is None and allowed >= scale:
        yield Demand(name, "any, as the recipe says", difference, math.isfinite(difference), **shown)
        return
    if config.over_champion is None:
        least, demand = -allowed, f"not more than {allowed:.4g} below {SURELY}"
    else:
        least, demand = config.over_champion, f"at least {config.over_champion:.4g} above {SURELY}"
    passed, needs = found["above"] >= least, None
    if not passed and difference > least:
        needs = _more_examples(found, least)
    says = _in_words(found, least, passed)
    yield Demand(name, demand, difference, passed, **shown, needs=needs, says=says)
    yield from _believable(difference, scale, evaluation, config)


def _more_examples(found: Mapping[str, Any], least: float) -> int:
    """How many more examples could tell, if the model is as good as the champion and no better.

    To go by a difference that may be luck would promise too much.
    """
    difference: float = found["difference"]
    groups, examples = int(found["groups"]), int(found["examples"])
    distance = min(difference, 0) - least
    if distance <= 0:
        distance = difference - least
    needed = examples_needed(found["error"], groups, distance, found["scale"])
    return max(1, math.ceil(needed * examples / groups) - examples)


def _in_words(found: Mapping[str, Any], least: float, passed: bool) -> str:
    parts = []
    if "won" in found:
        counted = f"{found['won']:,} examples won, {found['lost']:,} lost"
        parts.append(f"{counted}, {found['by']}: p {found['p']:.3g}")
    if not passed:
        above = found["above"]
        parts.append(f"{SURELY} it is only known to be {_side(above)}")
    if found["smallest"] > abs(least) > 0:
        parts.append(
            f"{found['examples']:,} examples show differences from {found['smallest']:.3g} on, not of "
            f"{abs(least):.4g}"
        )
    return "; ".join(parts)


def _side(above: float) -> str:
    return f"at most {-above:.3g} below" if above < 0 else f"at least {above:.3g} above"


def _believable(
    difference: float, scale: float, evaluation: Mapping[str, Any], config: Any
) -> Iterator[Demand]:
    most = TOO_GOOD * scale if config.most_over_champion is None else config.most_over_champion
    seen = evaluation.get("test_examples_in_training", 0)
    says = (
        f"such gains come mostly from test examples in training ({seen or 'none'} of "
        f"{evaluation.get('test_examples', 0):,} have an input that training has too) or from labels that "
        "the text gives away; look at the examples, then raise evaluate.most_over_champion"
    )
    passed = difference <= most
    name = f"gain over champion {evaluation['champion']['version']}"
    yield Demand(name, f"at most {most:.4g}", difference, passed, says="" if passed else says)
