"""What adapters, privacy, a search and R-Drop cost and give, on SST-2.

    python -m benchmarks.fine_tune_methods [--data DIR] [--work DIR] [--only NAME,NAME]

The recipe `sst2` with one thing changed, three seeds each; `--work` is shared with `fine_tune_quality`, so
the pretraining is there when that has run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.bench import machine
from benchmarks.fine_tune_stages import (
    ChangedRecipe,
    Evaluated,
    evaluated,
    options,
    outcomes,
    prepare,
    spread,
)

SEEDS = 3
METRIC = "accuracy"
PRIVATE = (
    "fine_tune.optimizer=adamw",
    "fine_tune.privacy={epsilon: 8}",
    "fine_tune.batch_size=256",
    "fine_tune.epochs=6",
    "fine_tune.head_dropout=0",
    "fine_tune.weight_decay=0.01",
)
ADAPTED = (
    "fine_tune.optimizer=adamw",
    "fine_tune.learning_rate=0.003",
    "fine_tune.epochs=4",
    "fine_tune.patience=4",
    "fine_tune.weight_decay=0.01",
)
SEARCH = (
    "{trials: 12, learning_rate: [0.0002, 0.005], muon_learning_rate: [0.001, 0.02], epochs: [2, 5], "
    "batch_size: [16, 32, 64], head_dropout: [0.0, 0.5], label_smoothing: [0.0, 0.2]}"
)
METHODS: dict[str, tuple[str, ...]] = {
    "all": (),
    "lora": ("fine_tune.lora={rank: 8}", *ADAPTED),
    "qlora": ("fine_tune.lora={rank: 8, quantize: nf4}", *ADAPTED),
    "privacy": PRIVATE,
    "search": (f"fine_tune.search={SEARCH}",),
    "r_drop": ("fine_tune.r_drop=1",),
    "adamw": ("fine_tune.optimizer=adamw",),
}
COLUMNS = ["method", METRIC, "seconds of fine-tuning", "to know"]
# Figures of a training that say what was done, where it has them.
TOLD = ("epsilon", "delta", "noise_multiplier")


def measure(arguments: argparse.Namespace) -> list[str]:
    """Train everything and print the table; returns why methods are missing."""
    prepare(arguments.work, arguments.data)
    trials = {trial: name for name in METHODS if name in arguments.only for trial in _trials(name)}
    found: dict[str, list[Evaluated]] = {}
    faults = []
    for trial, outcome in outcomes(list(trials), arguments.work, evaluated):
        if isinstance(outcome, str):
            faults.append(f"short fine_tune_methods {trials[trial]}: {outcome}")
        else:
            found.setdefault(trials[trial], []).append(outcome)
            print(*_row(trials[trial], [outcome]), sep=", ", file=sys.stderr, flush=True)
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(name, found[name]) for name in METHODS if name in found)]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    print(
        f"\nMean and standard deviation of {SEEDS} seeds on the dev file, which chose none of the settings."
    )
    print(f"{machine(['torch', 'transformers'])}.\n")
    (arguments.work / "methods.json").write_text(
        json.dumps(_figures(found), indent=2) + "\n", encoding="utf-8"
    )
    return faults


def _trials(name: str) -> list[ChangedRecipe]:
    if name == "privacy":  # to choose among private models would tell about the examples: each is a run
        return [ChangedRecipe("sst2", (*METHODS[name], f"fine_tune.seed={seed}")) for seed in range(SEEDS)]
    return [ChangedRecipe("sst2", (*METHODS[name], f"fine_tune.seeds={SEEDS}"))]


def _row(name: str, found: Sequence[Evaluated]) -> list[str]:
    training = found[0].training
    told = [f"{key.replace('_', ' ')} {training[key]:.4g}" for key in TOLD if key in training]
    values = [value for outcome in found for value in outcome.values(METRIC)]
    seconds = sum(outcome.seconds["fine_tune"] for outcome in found)
    return [name, spread(values), f"{seconds:,.0f}", ", ".join(told)]


def _figures(found: Mapping[str, Sequence[Evaluated]]) -> dict[str, Any]:
    return {
        name: {
            "values": [value for outcome in every for value in outcome.values(METRIC)],
            "seconds": sum(outcome.seconds["fine_tune"] for outcome in every),
            "training": every[0].training,
        }
        for name, every in found.items()
    }


def main() -> int:
    """Measure and print; the exit code is 1 when a method could not be measured."""
    parser = options(argparse.ArgumentParser(prog="python -m benchmarks.fine_tune_methods"))
    names = list(METHODS)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=names, help=f"some of {','.join(names)}"
    )
    faults = measure(parser.parse_args())
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
