"""All benchmarks, and the page that shows them.

    python -m benchmarks [--quick]

Writes `docs/benchmarks.md`; the exit code is 1 when a bar is missed and 2 when a benchmark can't be run,
and then the page stays as it was. Left out are those that judge gigabytes and minutes:
`benchmarks.data_memory` and `benchmarks.data_validation`.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from benchmarks import data, serving, train
from benchmarks.bench import ROUNDS, show

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
MARKER = "<!-- Below this line: written by python -m benchmarks -->\n"
INTRODUCTION = f"""## Benchmarks

Every figure is a ratio of two things measured in turn in one run: the median of at least {ROUNDS} rounds,
with the smallest and the largest in brackets. Absolute times belong to the machine named below each table
and to what else it was doing. `python -m benchmarks` writes this part of the page.

Measured apart, as they judge gigabytes and minutes: `python -m benchmarks.data_memory` cleans 5 GB of
generated text in 2 GB of memory, `python -m benchmarks.data_validation` checks ten million documents.
"""


def main() -> int:
    """Measure everything, write the page, print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="end within 60 s each")
    arguments = parser.parse_args(namespace=argparse.Namespace(model=None, documents=None))
    results = []
    for measure in (serving.measure, *train.BENCHMARKS, *data.BENCHMARKS):
        try:
            results.append(measure(arguments))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        show(results[-1])
        print()
    made = f"Measured on {datetime.date.today().isoformat()}{' with --quick' if arguments.quick else ''}.\n"
    above = PAGE.read_text(encoding="utf-8").partition(MARKER)[0]
    below = "\n".join([INTRODUCTION, made, *(result.report() for result in results)])
    PAGE.write_text(f"{above}{MARKER}\n{below}", encoding="utf-8")
    for result in results:
        print(result.verdict())
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
