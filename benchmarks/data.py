"""The data half in turn: filters, near duplicates, all of cleaning, encoding, personal data.

    python -m benchmarks.data [--quick] [--documents PATH]

The last line is `ok data` or `short data` with every ratio. Each is a command of its own too.
Memory (`data_memory`: 5 GB of text) and the checkpoints (`data_validation`: ten million documents) have
commands of their own, as they take minutes and judge gigabytes and seconds, no ratio.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data_clean, data_duplicates, data_filters, data_personal, data_tokenize
from benchmarks.bench import Result, show

BENCHMARKS = (
    data_filters.measure,
    data_duplicates.measure,
    data_clean.measure,
    data_tokenize.measure,
    data_personal.measure,
)


def verdict(results: Sequence[Result]) -> str:
    """One line over all of them."""
    ratios = " ".join(f"{result.name.removeprefix('data_')}={result.ratio:.2f}" for result in results)
    return f"{'ok' if all(result.passed for result in results) else 'short'} data {ratios}"


def main() -> int:
    """Measure all, print each; the exit code is 1 when a bar is missed and 2 when one can't be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data")
    parser.add_argument("--quick", action="store_true", help="end within 60 s each")
    parser.add_argument("--documents", type=Path, default=None, help="Parquet with columns text and language")
    arguments = parser.parse_args()
    results = []
    for measure in BENCHMARKS:
        try:
            results.append(measure(arguments))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        show(results[-1])
        print()
    print(verdict(results))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
