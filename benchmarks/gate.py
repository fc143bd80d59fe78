"""How often the gate is wrong, and how often it finds what is there: a simulation.

    python -m benchmarks.gate [--quick] [--plot FILE]

Pairs of models are invented whose true difference is known, each with a test set that is drawn anew, and
judged by the gate's own rule. Three figures: the share of right answers (McNemar's test), macro F1 over eight
labels of which the rarest is a twenty-second of the examples, and a mean of scores between 0 and 1 (both by
the paired bootstrap). The two models of a pair agree more often than by chance, as two trainings on the
same data do.

A promotion is false where an improvement was demanded and there is none, or where the new model is worse by
the margin. Beside it stands what many do: promote when the figure went up.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.bench import machine
from model_code.task_types.bootstrap_metrics import macro_f1, mean
from tasks.evaluation import paired_bootstrap
from tasks.evaluation.against_champion import ALLOWED_BELOW, against_champion
from tasks.evaluation.gate import EvaluateConfig

PAIRS = 1000
RESAMPLES = 2000  # for a pair; the gate takes five times as many
BEFORE = 0.8  # the champion's figure
ALIKE = 0.7  # of the answers that the second model takes over from the first one, right or wrong
FREQUENCIES = 1 / np.arange(1, 9) / (1 / np.arange(1, 9)).sum()
FALSE_WHEN_EQUAL, FALSE_WHEN_WORSE = 0.05, 0.01
EXAMPLES, SECONDS = 100_000, 2.0
RULES = {"not worse (default)": EvaluateConfig(), "improvement": EvaluateConfig(over_champion=0.0)}
WENT_UP = "figure went up"

Drawn = tuple[list[Any], list[Any], list[Any]]  # the truth and what the old and the new model say


def outcomes(random: np.random.Generator, examples: int, difference: float) -> Drawn:
    """Right and wrong answers."""
    luck, other = _alike(random, examples)
    return [None] * examples, [*(luck < BEFORE)], [*(other < BEFORE + difference)]


def scores(random: np.random.Generator, examples: int, difference: float) -> Drawn:
    """Scores from 0 to 1, a quarter of them perfect; the weaker model has 0 in the place of some of these."""
    both = _alike(random, examples)
    old, new = (np.clip(1.2 - 0.8 * luck, 0, 1) for luck in both)
    if difference < 0:
        new = np.where(both[1] < -difference, 0, new)
    else:
        old = np.where(both[0] < difference, 0, old)
    return [None] * examples, [*old], [*new]


def labels(random: np.random.Generator, examples: int, difference: float) -> Drawn:
    """Labels of which some are rare; what is wrong is any other one."""
    count = len(FREQUENCIES)
    truth = random.choice(count, size=examples, p=FREQUENCIES)
    guess = random.integers(1, count, size=examples)
    said = []
    for luck, figure in zip(_alike(random, examples), (BEFORE, BEFORE + difference), strict=True):
        said.append([*np.where(luck < _accuracy(figure), truth, (truth + guess) % count)])
    return [*truth], said[0], said[1]


def _alike(random: np.random.Generator, examples: int) -> tuple[np.ndarray, np.ndarray]:
    luck = random.random(examples)
    return luck, np.where(random.random(examples) < ALIKE, luck, random.random(examples))


def _accuracy(figure: float) -> float:
    """The share of right answers with which the true macro F1 is this."""
    from scipy.optimize import brentq

    def macro(accuracy: float) -> float:
        wrong = (1 - accuracy) * (1 - FREQUENCIES) / (len(FREQUENCIES) - 1)
        return float((2 * accuracy * FREQUENCIES / (FREQUENCIES + accuracy * FREQUENCIES + wrong)).mean())

    return float(brentq(lambda accuracy: macro(accuracy) - figure, 0.01, 0.9999))


def _mean(truth: Sequence[Any], said: Sequence[float], settings: Any) -> Any:
    return mean(said)


def _f1(truth: Sequence[Any], said: Sequence[int], settings: Any) -> Any:
    true = [example["label"] for example in truth]
    return macro_f1(*(np.eye(len(FREQUENCIES), dtype=np.float32)[[*each]] for each in (true, said)))


@dataclass(frozen=True)
class Figure:
    """A figure that models are judged by, and how answers are invented whose true difference is known."""

    draw: Callable[[np.random.Generator, int, float], Drawn]
    resampled: Callable[[Sequence[Any], Sequence[Any], Any], Any]


FIGURES = {
    "right answers": Figure(outcomes, _mean),
    "macro F1": Figure(labels, _f1),
    "scores": Figure(scores, _mean),
}


def promoted(figure: Figure, examples: int, difference: float, seed: int) -> dict[str, bool]:
    """Which rules let the new model of one pair go live."""
    truth, old, new = figure.draw(np.random.default_rng([seed, examples]), examples, difference)
    found = measured(figure, truth, old, new)
    evaluation = {"metric": "figure", "champion": {"version": 1, "figure": BEFORE}, "against_champion": found}
    verdicts = {name: next(against_champion(evaluation, config)).passed for name, config in RULES.items()}
    return verdicts | {WENT_UP: found["difference"] > 0}


def measured(figure: Figure, truth: list[Any], old: list[Any], new: list[Any]) -> dict[str, Any]:
    """What the gate finds of two models."""
    task: Any = SimpleNamespace(METRIC="figure", resampled=figure.resampled)
    examples = [{"label": label} for label in truth]
    settings: Any = None
    said = {"model": new, "champion": old}
    return paired_bootstrap.measured(task, examples, said, settings).comparisons["champion"]


def shares(figure: Figure, examples: int, difference: float, pairs: int) -> dict[str, float]:
    """How many of so many pairs each rule promotes."""
    verdicts = [promoted(figure, examples, difference, seed) for seed in range(pairs)]
    return {name: sum(each[name] for each in verdicts) / pairs for name in verdicts[0]}


def false_promotions(pairs: int, sizes: Sequence[int]) -> Iterator[tuple[str, int, str, dict[str, float]]]:
    """For each figure and size the shares when the new model is as good, and worse by the margin."""
    for name, figure in FIGURES.items():
        for size in sizes:
            yield name, size, "equal", shares(figure, size, 0.0, pairs)
            yield name, size, "worse by the margin", shares(figure, size, -ALLOWED_BELOW, pairs)


def power(pairs: int, sizes: Sequence[int]) -> dict[int, list[tuple[float, dict[str, float]]]]:
    """By size the shares of promotions of right answers over true differences."""
    steps = np.arange(-3, 6) * ALLOWED_BELOW / 2
    figure = FIGURES["right answers"]
    return {size: [(float(d), shares(figure, size, float(d), pairs)) for d in steps] for size in sizes}


def plot(curves: dict[int, list[tuple[float, dict[str, float]]]], path: Path) -> None:
    """The power curves, a panel for each rule."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rules = [*RULES, WENT_UP]
    figure, panels = pyplot.subplots(1, len(rules), figsize=(12, 3.6), sharey=True)
    for panel, rule in zip(panels, rules, strict=True):
        for size, points in curves.items():
            panel.plot([d for d, _ in points], [of[rule] for _, of in points], label=f"{size:,} examples")
        panel.axvline(-ALLOWED_BELOW, color="grey", linewidth=0.8, linestyle=":")
        panel.axvline(0, color="grey", linewidth=0.8)
        panel.set(title=rule, xlabel="true difference to the champion", ylim=(-0.02, 1.02))
    panels[0].set_ylabel("share promoted")
    panels[-1].legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def seconds_of_many() -> dict[str, float]:
    """CPU-seconds of 10,000 resamples over 100,000 examples, by figure."""
    taken = {}
    for name, figure in FIGURES.items():
        drawn = figure.draw(np.random.default_rng(0), EXAMPLES, 0.0)
        measured(figure, *(part[:100] for part in drawn))  # imports
        started = time.process_time()
        measured(figure, *drawn)
        taken[name] = time.process_time() - started
    return taken


def main() -> int:
    """Print the tables; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the pairs, without a verdict")
    parser.add_argument("--plot", type=Path, help="write the power curves into this file")
    arguments = parser.parse_args()
    fails = []
    for name, seconds in seconds_of_many().items():
        print(f"{name}: 10,000 resamples over {EXAMPLES:,} examples in {seconds:.2f} CPU-seconds", flush=True)
        fails += [name] if seconds > SECONDS else []
    pairs = PAIRS // 20 if arguments.quick else PAIRS
    paired_bootstrap.SAMPLES = RESAMPLES
    print(f"\n| figure | examples | the new model is | {' | '.join([*RULES, WENT_UP])} |")
    print("|---|---|---|" + "---|" * (len(RULES) + 1))
    for name, size, truth, of in false_promotions(pairs, (100, 300, 1000)):
        cells = " | ".join(f"{share:.1%}" for share in of.values())
        print(f"| {name} | {size:,} | {truth} | {cells} |", flush=True)
        if truth == "equal":
            wrong, most = of["improvement"], FALSE_WHEN_EQUAL
        else:
            wrong, most = max(of[rule] for rule in RULES), FALSE_WHEN_WORSE
        fails += [f"{name}, {size}, {truth}"] if wrong > most else []
    if arguments.plot:
        plot(power(pairs // 5, (300, 1000, 3000)), arguments.plot)
    print(f"\n{pairs:,} pairs each. {machine(['numpy', 'scipy'])}.")
    if arguments.quick:
        return 0
    print(f"short gate: {'; '.join(fails)}" if fails else "ok gate")
    return 1 if fails else 0


if __name__ == "__main__":
    sys.exit(main())
