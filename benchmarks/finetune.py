"""Fine-tuning: speed against the Trainer, quality on public data, what each method costs and gives.

    python -m benchmarks.finetune [--quick] [--data DIR] [--work DIR] [--only sst2,tnews]

`finetune_speed`, `finetune_quality` and `finetune_methods` are commands of their own; `--quick` leaves the
methods out. The data are no part of this project: `--data` names the folder that the recipes call `data`.
What was made is kept in `--work`, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import finetune_methods, finetune_quality, finetune_speed
from benchmarks.bench import show


def main() -> int:
    """Measure all, print each; the exit code is 1 when a bar is missed or something can't be measured."""
    arguments = finetune_quality.parser("python -m benchmarks.finetune").parse_args()
    verdicts = [_speed(arguments), *finetune_quality.measure(arguments)]
    if not arguments.quick:
        arguments.only = list(finetune_methods.METHODS)
        verdicts += finetune_methods.measure(arguments)
    print("\n".join(verdicts))
    return 1 if any(line.startswith("short") for line in verdicts) else 0


def _speed(arguments: argparse.Namespace) -> str:
    try:
        result = finetune_speed.measure(arguments)
    except ValueError as error:  # no data, or no Trainer
        return f"short finetune_speed {error}"
    show(result)
    return result.verdict()


if __name__ == "__main__":
    sys.exit(main())
