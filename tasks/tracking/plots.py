"""Plots that go with a model into the registry: the confusion matrix and the loss curves.

A picture never ends a run: what can't be drawn is said in one line, and its file is not there.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from tasks.contract import console

Arguments = ParamSpec("Arguments")
LONGEST_NAME = 40  # characters of a label or key in a picture


def _optional(draw: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """Draw a picture and write it to the last argument; say what was in the way."""

    @wraps(draw)
    def attempt(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        path = Path(str(arguments[-1]))
        try:
            # A person's own settings of matplotlib would change the bytes, and may need what is not there.
            from matplotlib import rc_context, rcParamsDefault

            with rc_context(rcParamsDefault), warnings.catch_warnings(action="ignore"):
                draw(*arguments, **named).savefig(path, dpi=110, metadata={"Software": None})
        except Exception as error:  # matplotlib's own settings, caches and fonts fail in many ways
            path.unlink(missing_ok=True)
            said = " ".join(str(error).split())[:200] or type(error).__name__
            console.say(f"[yellow]{path.name} is not drawn: {console.escaped(said)}[/]")

    return attempt


@_optional
def plot_confusion_matrix(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> Any:
    """Draw counts [true][predicted], shaded by the share of the true label's examples."""
    import numpy as np

    counts = np.asarray(matrix, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.5 + 0.42 * len(labels)
    figure = _figure(size, size)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_short(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=60, ha="right", parse_math=False)
    axes.set_yticks(range(len(labels)), names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.argwhere(counts > 0):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{counts[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return figure


@_optional
def plot_loss_curves(histories: Mapping[str, Path], path: Path) -> Any:
    """Draw the training loss by step of every `history.jsonl`, side by side."""
    figure = _figure(5 * len(histories), 3.4)
    for position, (name, history) in enumerate(histories.items(), start=1):
        with history.open(encoding="utf-8") as lines:
            points = [point for point in map(json.loads, lines) if "step" in point and "loss" in point]
        axes = figure.add_subplot(1, len(histories), position)
        axes.plot([point["step"] for point in points], [point["loss"] for point in points], linewidth=1)
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.grid(alpha=0.3)
    return figure


@_optional
def plot_reliability(bins: Sequence[Mapping[str, float]], path: Path) -> Any:
    """Draw how often predictions are right over how probable the model finds them, with their number."""
    figure = _figure(5, 4.2)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="grey")
    axes.plot([b["probability"] for b in bins], [b["right"] for b in bins], marker="o", linewidth=1)
    axes.set_ylabel("share that is right")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    counts.bar(
        [b["from"] for b in bins],
        [b["examples"] for b in bins],
        [b["to"] - b["from"] for b in bins],
        align="edge",
    )
    counts.set_ylabel("examples")
    counts.set_xlabel("probability of the prediction")
    counts.set_xlim(0, 1)
    return figure


@_optional
def plot_rates(curve: Sequence[Mapping[str, float]], suggested: float, path: Path) -> Any:
    """Draw the loss of a learning-rate range test over the rate, and mark the suggested one."""
    figure = _figure(5, 3.4)
    axes = figure.add_subplot()
    axes.plot([point["rate"] for point in curve], [point["loss"] for point in curve], linewidth=1)
    axes.axvline(suggested, linestyle="--", linewidth=1, color="grey")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("smoothed loss (nats)")
    axes.grid(alpha=0.3)
    return figure


@_optional
def plot_search(
    scores: Sequence[float], states: Sequence[str], importances: Mapping[str, float], path: Path
) -> Any:
    """Draw the score of each trial with the best one so far, and how much each searched value mattered."""
    figure = _figure(9, 3.4)
    history, bars = figure.subplots(1, 2)
    for state, marker in (("complete", "o"), ("pruned", "x")):
        numbers = [number for number, found in enumerate(states, 1) if found == state]
        history.scatter(numbers, [scores[number - 1] for number in numbers], marker=marker, label=state, s=20)
    best = [max(scores[:number]) for number in range(1, len(scores) + 1)]
    history.plot(range(1, len(scores) + 1), best, linewidth=1, color="grey", label="best so far")
    history.set_xlabel("trial")
    history.set_ylabel("score on validation")
    history.xaxis.get_major_locator().set_params(integer=True)
    history.legend(fontsize=8)
    history.grid(alpha=0.3)
    names = sorted(importances, key=lambda name: importances[name])
    bars.barh(names, [importances[name] for name in names])
    bars.set_xlabel("importance")
    bars.set_xlim(0, 1)
    return figure


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # not pyplot: no display, no global state, safe in threads

    return Figure(figsize=(width, height), layout="constrained")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
