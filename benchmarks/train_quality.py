"""What architecture and optimizer are worth: the held-out loss against a Trainer with twice the CPU-seconds.

    python -m benchmarks.train_quality [--quick]

The same tokens, objective, batch and about the same parameters (1.4 to 1.6 M). Causal: Llama's layout with
Muon and AdamW against GPT-2 with AdamW and cosine. Masked: the default recipe (ModernBERT's layout with Muon
and AdamW) against BERT with AdamW and cosine. The Trainer reads the corpus cut every 128 tokens, without
padding, as `run_clm` and `run_mlm` do, and its schedule is as long as its run.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from benchmarks.bench import ROUNDS, Result, around, machine, run
from benchmarks.train_run import TrainingMeasured
from benchmarks.train_sides import Side, Sides, both_sides

BAR = 1.0
LONGER = 2
SPARE = 1.05  # the pace varies; the Trainer shall not get less
SEQUENCE, BATCH = 128, 32
SHARED = {"preset": "tiny", "sequence_length": SEQUENCE, "batch_size": BATCH}
TRAINER = {"optimizer": "adamw", "beta2": 0.98, "weight_decay": 0.1}
# The Trainer's rates are the best of a sweep by factors of two (docs/decisions.md); ours are the defaults.
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
    """Train ours with five seeds, the Trainer once for twice as long; `kind` is `causal` or `masked`.

    Raises:
        BenchmarkError: the Trainer's environment is missing, or a side ended without a figure.
    """
    if sides is None:
        with both_sides(arguments.quick) as opened:
            return measure(kind, arguments, opened)
    loop, trainer = sides
    steps = 3 if arguments.quick else 100
    config = SHARED | OURS[kind] | {"steps": steps}
    ours = [loop.train(config | {"seed": seed}) for seed in range(ROUNDS)]
    seconds = median(one.cpu_seconds for one in ours)
    theirs = _for_seconds(trainer, SHARED | TRAINER | PEERS[kind], LONGER * seconds)
    return Result(
        name=f"train_quality_{kind}",
        title=TITLES[kind],
        columns=["side", "steps", "CPU-seconds", "held-out loss"],
        rows=[_row("ours", ours), _row(f"Trainer, {LONGER} times as long", [theirs])],
        ratios=[math.exp((theirs.loss or 0.0) - (one.loss or 0.0)) for one in ours],
        bar=None if arguments.quick else BAR,
        lower_is_better=False,
        note=f"Ratio: held-out perplexity of the Trainer after {LONGER} times our CPU-seconds / ours; above "
        f"1 it needs more than {LONGER} times as long for our loss. Ours with {ROUNDS} seeds; steps of "
        f"{BATCH} x {SEQUENCE} tokens, on one core. {machine(['torch', 'transformers'])}.",
    )


def _for_seconds(trainer: Side, config: Mapping[str, Any], seconds: float) -> TrainingMeasured:
    """The Trainer's run of so many CPU-seconds or a little more, in steps as its own speed has them."""
    peer = {"attention": "eager", "batch_size": BATCH, "cut": True}
    paces = [trainer.train({**config, "steps": 4}, peer) for _ in range(2)]
    steps = math.ceil(SPARE * seconds * max(one.speed for one in paces) / (SEQUENCE * BATCH)) + 1
    return trainer.train({**config, "steps": steps}, peer | {"evaluate": True})


def _row(name: str, runs: Sequence[TrainingMeasured]) -> list[str]:
    """The first step is before the clock starts."""
    steps = runs[0].tokens // (SEQUENCE * BATCH) + 1
    seconds, losses = ([one.cpu_seconds for one in runs], [one.loss or 0.0 for one in runs])
    return [name, str(steps), around(seconds, 1), around(losses, 3)]


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
