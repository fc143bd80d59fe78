"""Fine-tuning: speed against the Trainer, quality on public data, what each method costs and gives.

    python -m benchmarks.fine_tune [--quick] [--data DIR] [--work DIR] [--only sst2,tnews]

`fine_tune_speed`, `fine_tune_quality` and `fine_tune_methods` are commands of their own; `--quick` leaves the
methods out. The data are no part of this project: `--data` names the folder that the recipes call `data`.
What was made is kept in `--work`, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import fine_tune_methods, fine_tune_quality, fine_tune_speed
from benchmarks.bench import show


def main() -> int:
    """Measure all, print each; the exit code is 1 when a bar is missed or something can't be measured."""
    arguments = fine_tune_quality.parser("python -m benchmarks.fine_tune").parse_args()
    verdicts = [_speed(arguments), *fine_tune_quality.measure(arguments)]
    if not arguments.quick:
        arguments.only = list(fine_tune_methods.METHODS)
        verdicts += fine_tune_methods.measure(arguments)
    print("\n".join(verdicts))
    return 1 if any(line.startswith("short") for line in verdicts) else 0


def _speed(arguments: argparse.Namespace) -> str:
    try:
        result = fine_tune_speed.measure(arguments)
    except ValueError as error:  # no data, or no Trainer
        return f"short fine_tune_speed {error}"
    show(result)
    return result.verdict()


if __name__ == "__main__":
    sys.exit(main())
