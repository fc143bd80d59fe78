"""Masked language modelling on documents of natural length: packing against padding.

    python -m benchmarks.train_masked [--quick]

ModernBERT's layout at 1.4 M parameters, 30 % hidden, bfloat16, fused AdamW on both sides; documents of more
than 128 tokens are cut into pieces of 128. Counted are tokens of text, not padding. The bar is against
the stock model in batches of similar length (`group_by_length`), which leaves little padding; shown beside
it are random batches, the default, and ModernBERT's switch that makes logits for hidden tokens only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from statistics import median

from benchmarks.bench import ROUNDS, Result, around, in_turn, machine, run
from benchmarks.train_sides import Sides, both_sides

BAR = 1.8
SEQUENCE, BATCH = 128, 32
CONFIG = {
    "family": "modernbert",
    "preset": "tiny",
    "sequence_length": SEQUENCE,
    "batch_size": BATCH,
    "optimizer": "adamw",
}
# The pieces of documents have 72 tokens on average: about as many tokens of text per step as ours.
DOCUMENTS = 56
PEER = {"attention": "eager", "group_by_length": True}
VARIANTS = {
    "Trainer, random batches": {"group_by_length": False},
    "Trainer, logits of hidden tokens only": {"sparse_prediction": True},
}


def measure(arguments: argparse.Namespace, sides: Sides | None = None) -> Result:
    """Train both in turn; the ratio is that of tokens of text per CPU-second.

    Raises:
        BenchmarkError: the Trainer's environment is missing, or a side ended without a figure.
    """
    if sides is None:
        with both_sides(arguments.quick) as opened:
            return measure(arguments, opened)
    # Batches of similar length come in order, the longest of fifty first: fewer would not be like the rest.
    steps, batch = (3, BATCH // 4) if arguments.quick else (50, BATCH // 2)
    ours, peer = sides
    config, documents = CONFIG | {"steps": steps, "batch_size": batch}, batch * DOCUMENTS // BATCH

    def trainer(**changes: bool) -> float:
        return peer.train(config=config, peer=PEER | {"batch_size": documents} | changes).speed

    pairs = in_turn(lambda: ours.train(config=config).speed, trainer, ROUNDS)
    loop, grouped = zip(*pairs, strict=True)
    rows = [["our loop, packed", around(loop, 0)], ["Trainer, batches of similar length", around(grouped, 0)]]
    others = {name: trainer(**changes) for name, changes in ({} if arguments.quick else VARIANTS).items()}
    rows += [[name, f"{speed:,.0f}"] for name, speed in others.items()]
    return Result(
        name="train_masked",
        title="Masked language modelling: packing against padding",
        columns=["side", "tokens of text per CPU-second"],
        rows=rows,
        ratios=[mine / theirs for mine, theirs in pairs],
        bar=BAR,
        lower_is_better=False,
        note="Ratio: tokens of text per CPU-second, our loop / Trainer with batches of similar length, on "
        f"one core; {ROUNDS} rounds of {steps} steps with {batch} x {SEQUENCE} tokens, or "
        f"{documents} documents; the same ModernBERT (preset tiny), bfloat16 and fused AdamW. "
        f"{_not_judged(median(loop), others)}"
        f"{machine(['torch', 'transformers'])}.",
    )


def _not_judged(loop: float, others: Mapping[str, float]) -> str:
    """Against the Trainer's other ways, of one run each."""
    against = (f"{loop / speed:.2f} against {name}" for name, speed in others.items())
    return f"Not judged, one run each: {', '.join(against)}. " if others else ""


if __name__ == "__main__":
    sys.exit(run(measure, argparse.ArgumentParser(prog="python -m benchmarks.train_masked")))
