"""What architecture and optimizer are worth: CPU-seconds to a held-out loss, against the Trainer's recipe.

    python -m benchmarks.train_quality [--quick]

The same tokens, objective, batch and about the same parameters (1.4 to 1.6 M). Causal: Llama's layout with
Muon and AdamW against GPT-2 with AdamW and cosine. Masked: the default recipe (ModernBERT's layout with Muon
and AdamW) against BERT with AdamW and cosine. The Trainer trains twice and four times as long in CPU-seconds
as we do, each time with a schedule of that length; the CPU-seconds that it needs for our loss lie on the
line between the two losses over the logarithm of time, and count as four times ours where it stays above.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.bench import ROUNDS, Result, around, machine, run
from benchmarks.train_sides import Side, Sides, both_sides
from benchmarks.train_worker import Run

BAR = 2.0
LONGER = (2, 4)
SEQUENCE, BATCH = 128, 32
SHARED = {"preset": "tiny", "sequence_length": SEQUENCE, "batch_size": BATCH}
TRAINER = {"optimizer": "adamw", "beta2": 0.98, "weight_decay": 0.1}
# The Trainer's rates are the best of a sweep (docs/decisions.md); ours are the defaults.
OURS = {"causal": {"family": "llama"}, "masked": {"family": "modernbert"}}
PEERS = {
    "causal": {"family": "gpt2", "learning_rate": 2e-3},
    "masked": {"family": "bert", "learning_rate": 2e-3},
}
TITLES = {
    "causal": "Quality of causal models: Llama's layout with Muon against GPT-2 with AdamW",
    "masked": "Quality of masked models: the default recipe against BERT with AdamW",
}


def measure(kind: str, arguments: argparse.Namespace, sides: Sides | None = None) -> Result:
    """Train ours with five seeds and the Trainer's for longer; `kind` is `causal` or `masked`.

    Raises:
        BenchmarkError: the Trainer's environment is missing, or a side ended without a figure.
    """
    if sides is None:
        with both_sides(arguments.quick) as opened:
            return measure(kind, arguments, opened)
    loop, trainer = sides
    steps = 3 if arguments.quick else 120
    config = SHARED | OURS[kind] | {"steps": steps}
    ours = [loop.train(config | {"seed": seed}) for seed in range(ROUNDS)]
    seconds = sum(one.cpu_seconds for one in ours) / len(ours)
    theirs = _longer(trainer, SHARED | TRAINER | PEERS[kind], seconds)
    rows = [["ours", around([one.cpu_seconds for one in ours], 1), _losses(ours)]]
    rows += [
        [f"Trainer, {n} x", f"{one.cpu_seconds:.1f}", _losses([one])]
        for n, one in zip(LONGER, theirs, strict=True)
    ]
    return Result(
        name=f"train_quality_{kind}",
        title=TITLES[kind],
        columns=["side", "CPU-seconds", "held-out loss"],
        rows=rows,
        ratios=[needed(theirs, one.loss or 0.0) / one.cpu_seconds for one in ours],
        bar=None if arguments.quick else BAR,
        lower_is_better=False,
        note=f"Ratio: CPU-seconds of the Trainer / ours for the same held-out loss, at most {LONGER[-1]}; "
        f"ours with {ROUNDS} seeds, {steps} steps of {BATCH} x {SEQUENCE} tokens each, on one core. "
        f"{machine(['torch', 'transformers'])}.",
    )


def needed(runs: Sequence[Run], loss: float) -> float:
    """CPU-seconds to `loss`, by a line through two runs over the logarithm of time, not beyond the longer."""
    (short, low), (long, high) = ((math.log(one.cpu_seconds), one.loss or 0.0) for one in runs)
    if loss < high or high >= low:
        return math.exp(long)
    return math.exp(short + (long - short) * (low - loss) / (low - high))


def _longer(trainer: Side, config: Mapping[str, Any], seconds: float) -> list[Run]:
    """The Trainer's runs of so many times `seconds`, in steps as its own speed has them."""
    peer = {
        "attention": "eager",
        "batch_size": BATCH if config["family"] == "gpt2" else 56,
        "group_by_length": True,
    }
    paces = [trainer.train({**config, "steps": 4}, peer) for _ in range(2)]
    step = min(one.cpu_seconds for one in paces) / 3
    return [
        trainer.train({**config, "steps": round(n * seconds / step)}, peer | {"evaluate": True})
        for n in LONGER
    ]


def _losses(runs: Sequence[Run]) -> str:
    return around([one.loss or 0.0 for one in runs], 3)


BENCHMARKS = (partial(measure, "causal"), partial(measure, "masked"))


def main() -> int:
    """Measure both; the exit code is 1 when a bar is missed and 2 when one can't be measured."""
    codes = []
    for kind in OURS:
        codes.append(
            run(partial(measure, kind), argparse.ArgumentParser(prog="python -m benchmarks.train_quality"))
        )
        print()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
