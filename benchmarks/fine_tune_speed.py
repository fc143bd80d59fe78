"""Fine-tuning on sentences of natural length, in turn with the Hugging Face Trainer and its default padding.

    python -m benchmarks.fine_tune_speed [--quick] [--data DIR] [--work DIR]

The sentences of SST-2, one epoch from the same random weights, in bfloat16 with fused AdamW at the same rates
on both sides; another seed in each round. Counted are tokens of text, not padding. The accuracies on the test
sentences stand beside them. The Trainer keeps the attention that transformers chooses; with the plain one,
which our loop uses on a CPU, it is measured too, and not judged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from benchmarks.bench import ROUNDS, BenchmarkError, Result, around, in_turn, machine, run
from benchmarks.fine_tune_stages import RANDOM, ChangedRecipe, given, options, prepare
from benchmarks.train_run import TrainingMeasured
from benchmarks.train_sides import Sides, opened, require_peer

BAR = 1.5
CONFIG = {
    "task": "classification",
    "max_length": 128,
    "batch_size": 32,
    "epochs": 1,
    "learning_rate": 1e-3,
    "precision": "bfloat16",
}
DEFAULT = {"attention": "sdpa"}
PLAIN = {"attention": "eager"}  # as in our loop on a CPU
QUICK = ("examples.limit=320", "examples.held_out_limit=64")


def measure(arguments: argparse.Namespace, sides: Sides | None = None) -> Result:
    """Train both in turn; the ratio is that of tokens of text per CPU-second.

    Raises:
        BenchmarkError: there are no data, the Trainer's environment is missing, or a side ended.
    """
    if sides is None:
        require_peer()
        with opened("fine_tune_loop", "fine_tune_trainer", _paths(arguments)) as both:
            return measure(arguments, both)
    ours, peer = sides
    loop_seeds, trainer_seeds = count(), count()
    ways = [DEFAULT] if arguments.quick else [DEFAULT, PLAIN]

    def loop() -> TrainingMeasured:
        return ours.train(CONFIG | {"seed": next(loop_seeds)})

    def trainer() -> list[TrainingMeasured]:
        config = CONFIG | {"seed": next(trainer_seeds)}
        return [peer.train(config, way) for way in ways]

    mine, theirs = zip(*in_turn(loop, trainer, ROUNDS), strict=True)
    default, *plain = zip(*theirs, strict=True)
    rows = [_row("our loop, batches of similar length", mine), _row("Trainer, default padding", default)]
    rows += [_row("Trainer, default padding, plain attention", runs) for runs in plain]
    return Result(
        name="fine_tune_speed",
        title="Fine-tuning on sentences of natural length",
        columns=["side", "tokens of text per CPU-second", "accuracy on the dev sentences"],
        rows=rows,
        ratios=_ratios(mine, default),
        bar=None if arguments.quick else BAR,
        lower_is_better=False,
        note="Ratio: tokens of text per CPU-second, our loop / Trainer, on one core; "
        f"{ROUNDS} rounds of an epoch of SST-2 in batches of {CONFIG['batch_size']}, each with a seed of its "
        f"own; the same ModernBERT from the same weights, bfloat16, fused AdamW. {_not_judged(mine, *plain)}"
        f"{machine(['torch', 'transformers'])}.",
    )


def _paths(arguments: argparse.Namespace) -> dict[str, Path]:
    """Random weights, their tokenizer and the examples, made by the stages of the recipe for SST-2."""
    prepare(arguments.work, arguments.data)
    changes = (*RANDOM, *(QUICK if arguments.quick else ()))
    tokens, examples, pretrained = given(
        ChangedRecipe("sst2", changes, smoke=arguments.quick), arguments.work
    )
    return {"model": pretrained / "model", "tokenizer": tokens / "tokenizer", "data": examples}


def _not_judged(mine: Sequence[TrainingMeasured], *plain: Sequence[TrainingMeasured]) -> str:
    """Against the Trainer that was told to use plain attention."""
    return "".join(f"Not judged: {around(_ratios(mine, runs))} with plain attention. " for runs in plain)


def _ratios(mine: Sequence[TrainingMeasured], theirs: Sequence[TrainingMeasured]) -> list[float]:
    return [our.speed / their.speed for our, their in zip(mine, theirs, strict=True)]


def _row(name: str, runs: Sequence[TrainingMeasured]) -> list[str]:
    accuracies = [one.accuracy for one in runs if one.accuracy is not None]
    if not accuracies:
        raise BenchmarkError(f"fine_tune_speed: {name} was not judged on test examples")
    return [name, around([one.speed for one in runs], 0), around(accuracies, 3)]


if __name__ == "__main__":
    sys.exit(run(measure, options(argparse.ArgumentParser(prog="python -m benchmarks.fine_tune_speed"))))
