"""The frame of every benchmark: two things measured in turn, their ratio, and a verdict against a bar.

Absolute times say more about the machine than about the code. Rounds alternate (A B A B), so that a slow
spell of the machine hits both, and the ratio is taken round by round before the median.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

Sample = TypeVar("Sample")

ROUNDS = 5


class BenchmarkError(ValueError):
    """A benchmark can't be run here; the message says the way out."""


@dataclass(frozen=True)
class Result:
    """One benchmark's figures; `ratios` (ours / peer, one per round) are judged by their median.

    Without a bar they are not judged: a quick run may be too small for what the bar is about.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    ratios: Sequence[float]
    bar: float | None
    lower_is_better: bool
    note: str

    def __post_init__(self) -> None:
        """Refuse what is too little for a median; raises BenchmarkError."""
        if len(self.ratios) < ROUNDS:
            raise BenchmarkError(f"{self.name}: {len(self.ratios)} rounds, at least {ROUNDS} are needed")

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(self.ratios)

    @property
    def passed(self) -> bool:
        """Whether the median ratio reaches the bar, where there is one."""
        if self.bar is None:
            return True
        return self.ratio <= self.bar if self.lower_is_better else self.ratio >= self.bar

    def verdict(self) -> str:
        """The last line of the output, for people and programs."""
        rounds = f"spread={min(self.ratios):.2f}-{max(self.ratios):.2f} rounds={len(self.ratios)}"
        if self.bar is None:
            return f"measured {self.name} ratio={self.ratio:.2f} bar=none {rounds}"
        relation = "at most" if self.lower_is_better else "at least"
        return (
            f"{'ok' if self.passed else 'short'} {self.name} ratio={self.ratio:.2f} bar={self.bar:.2f} "
            f"({relation}) {rounds}"
        )

    def report(self) -> str:
        """Title, table, note and verdict as Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{table}\n\n{self.note}\n\n`{self.verdict()}`\n"


def in_turn(
    ours: Callable[[], Sample], peer: Callable[[], Sample], rounds: int
) -> list[tuple[Sample, Sample]]:
    """Measure both once for warming up, then `rounds` times in turn; returns (ours, peer) per round."""
    ours(), peer()
    return [(ours(), peer()) for _ in range(rounds)]


def cpu_seconds(command: Sequence[str], cwd: Path | None = None) -> float:
    """CPU-seconds, user and system, that `command` and its children take when held to one core.

    Raises:
        BenchmarkError: the command failed; with the end of what it said.
    """
    cores = os.sched_getaffinity(0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.sched_setaffinity(0, {min(cores)})  # which the child inherits
    try:
        ended = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, encoding="utf-8"
        )
    finally:
        os.sched_setaffinity(0, cores)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed: {ended.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` % (1 to 100) of the values do not exceed (nearest rank)."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[rank - 1]


def around(values: Sequence[float], digits: int = 2) -> str:
    """The median with the spread, e.g. `2.10 (2.01-2.45)`."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def machine(packages: Sequence[str]) -> str:
    """Processor, cores, load average of the last minute, Python and package versions, on one line."""
    cpu_info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":")[1].strip() for line in cpu_info.splitlines() if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    return ", ".join(
        [processor, f"{cores} cores", f"load {load:.1f}", f"Python {platform.python_version()}", *versions]
    )


def show(result: Result) -> None:
    """Print a result, the verdict last."""
    print(result.report().rsplit("\n\n", 1)[0])
    print(result.verdict(), flush=True)


def run(measure: Callable[[argparse.Namespace], Result], parser: argparse.ArgumentParser) -> int:
    """Measure as the command line says and print; the exit code: 0, 1 below the bar, 2 when it can't run."""
    parser.add_argument("--quick", action="store_true", help="end within 60 s")
    try:
        result = measure(parser.parse_args())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    return 0 if result.passed else 1
