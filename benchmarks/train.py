"""Training in turn: speed of causal and masked models, and what architecture and optimizer are worth.

    python -m benchmarks.train [--quick]

The peer is the Hugging Face Trainer at its best settings. It needs `accelerate`, which lives in
`.venv-bench`; torch and transformers are those of this environment on both sides. `benchmarks.train_causal`,
`train_masked` and `train_quality` are commands of their own; `benchmarks.train_gpu` is for a machine that
has torch and transformers only. The whole takes a quarter of an hour; `--quick` leaves quality out, which
takes minutes to show.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import train_causal, train_masked, train_quality
from benchmarks.bench import show
from benchmarks.train_sides import both_sides

BENCHMARKS = (train_causal.measure, train_masked.measure, *train_quality.BENCHMARKS)


def main() -> int:
    """Measure all, print each; the exit code is 1 when a bar is missed and 2 when one can't be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train")
    parser.add_argument("--quick", action="store_true", help="end within 60 s")
    arguments = parser.parse_args()
    try:
        with both_sides(arguments.quick) as sides:
            chosen = BENCHMARKS[:2] if arguments.quick else BENCHMARKS
            results = [measure(arguments, sides=sides) for measure in chosen]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for result in results:
        show(result)
        print()
    for result in results:
        print(result.verdict())
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
