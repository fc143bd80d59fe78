"""Causal language modelling: tokens per CPU-second of our loop against the Hugging Face Trainer.

    python -m benchmarks.train_causal [--quick]

GPT-2 of 1.4 M parameters, sequences of 128, bfloat16, fused AdamW on both sides. Both read the corpus cut
every 128 tokens; ours keeps documents apart, which `run_clm` does not. Our loop makes the logits in blocks
that stay in the cache, keeps freed memory, and has no machinery between two steps.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.bench import ROUNDS, Result, around, in_turn, machine, run
from benchmarks.train_sides import Sides, both_sides

BAR = 1.25
SEQUENCE, BATCH = 128, 32
CONFIG = {
    "family": "gpt2",
    "preset": "tiny",
    "sequence_length": SEQUENCE,
    "batch_size": BATCH,
    "optimizer": "adamw",
}
# Plain attention is quicker than the fused kernel for the Trainer too: 5,400 against 4,900 tokens.
PEER = {"attention": "eager", "batch_size": BATCH}


def measure(arguments: argparse.Namespace, sides: Sides | None = None) -> Result:
    """Train both in turn; the ratio is that of tokens per CPU-second.

    Raises:
        BenchmarkError: the Trainer's environment is missing, or a side ended without a figure.
    """
    if sides is None:
        with both_sides(arguments.quick) as opened:
            return measure(arguments, opened)
    steps, batch = (3, BATCH // 4) if arguments.quick else (20, BATCH)
    ours, peer = sides
    config, told = CONFIG | {"steps": steps, "batch_size": batch}, PEER | {"batch_size": batch}
    pairs = in_turn(
        lambda: ours.train(config=config).speed, lambda: peer.train(config=config, peer=told).speed, ROUNDS
    )
    loop, trainer = zip(*pairs, strict=True)
    return Result(
        name="train_causal",
        title="Causal language modelling: our loop against the Hugging Face Trainer",
        columns=["side", "tokens per CPU-second"],
        rows=[["our loop", around(loop, 0)], ["Trainer", around(trainer, 0)]],
        ratios=[mine / theirs for mine, theirs in pairs],
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: tokens per CPU-second, our loop / Trainer, on one core; {ROUNDS} rounds of {steps} "
        f"steps with {batch} x {SEQUENCE} tokens; the same GPT-2 (preset tiny), bfloat16 and fused AdamW. "
        f"{machine(['torch', 'transformers'])}.",
    )


if __name__ == "__main__":
    sys.exit(run(measure, argparse.ArgumentParser(prog="python -m benchmarks.train_causal")))
