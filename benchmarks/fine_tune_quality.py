"""What fine-tuning gives on public data: pretrained against random weights, at all labels and at 1,000.

    python -m benchmarks.fine_tune_quality [--quick] [--data DIR] [--work DIR] [--only sst2,tnews]

Each set by its built-in recipe, from the raw files on, three seeds, on the split that the recipe names and
against a baseline on the same split. `--work` keeps what was made: a second run makes only what is missing.
`quality.json` there has every figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.bench import machine
from benchmarks.fine_tune_stages import (
    RANDOM,
    ChangedRecipe,
    Evaluated,
    evaluated,
    options,
    outcomes,
    prepare,
    spread,
)

SEEDS = 3
FEW = 1000
# Few examples are few steps: as many epochs more.
LONGER = 3
MINUTES, CORES = 15, 2


@dataclass(frozen=True)
class BenchmarkSet:
    """A recipe's set, the metric shown, the baseline it is held against, the bar where there is one.

    `sizes` are numbers of training examples; 0 is all.
    """

    recipe: str
    metric: str
    baseline: str
    bar: float | None = None
    sizes: tuple[int, ...] = (FEW, 0)


SETS = (
    BenchmarkSet("sst2", "accuracy", "tfidf_logistic_regression", bar=0.80),
    BenchmarkSet("tnews", "accuracy", "tfidf_logistic_regression"),
    BenchmarkSet("multi30k", "bleu", "nearest", bar=15.0),
    BenchmarkSet("wikiann", "f1", "majority_tag"),
    BenchmarkSet("mrpc", "accuracy", "majority"),
    BenchmarkSet("xquad", "f1", "most_shared_words", sizes=(0,)),
)
QUICK = (BenchmarkSet("sst2", "accuracy", "tfidf_logistic_regression", sizes=(0,)),)
COLUMNS = ["set", "metric", "baseline", *(f"{start}, {size}" for size in ("1,000", "all") for start in
           ("random", "pretrained")), "minutes of 2 cores"]  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One place of the table: a set, how its weights start, how many examples it learns from."""

    of: BenchmarkSet
    pretrained: bool
    size: int

    def trial(self, epochs: int, quick: bool) -> ChangedRecipe:
        """The recipe and what is changed in it."""
        changes = [f"fine_tune.seeds={_seeds(quick)}"]
        changes += [] if self.pretrained else RANDOM
        if self.size:
            more = LONGER * epochs
            changes += [
                f"examples.limit={self.size}",
                f"fine_tune.epochs={more}",
                f"fine_tune.patience={more}",
            ]
        return ChangedRecipe(self.of.recipe, tuple(changes), smoke=quick)


def _seeds(quick: bool) -> int:
    return 2 if quick else SEEDS


Outcomes = Mapping[Cell, Evaluated]


def measure(arguments: argparse.Namespace) -> list[str]:
    """Train everything and print the table; returns a verdict for each set."""
    prepare(arguments.work, arguments.data)
    sets = [one for one in (QUICK if arguments.quick else SETS) if one.recipe in arguments.only]
    cells = [
        # The pretrainings first: everything else waits for them.
        Cell(one, pretrained, size)
        for pretrained, size in ((True, 0), (False, 0), (True, FEW), (False, FEW))
        for one in sets
        if size in one.sizes
    ]
    found, faults = _found(cells, arguments)
    _write(found, arguments.work / "quality.json")
    print(table(sets, found))
    seeds = _seeds(arguments.quick)
    print(f"\nMean and standard deviation of {seeds} seeds. {machine(['torch', 'transformers'])}.\n")
    return [verdict(one, found, faults.get(one.recipe, "")) for one in sets]


def _found(cells: Sequence[Cell], arguments: argparse.Namespace) -> tuple[Outcomes, dict[str, str]]:
    """What came of the cells, and by recipe why something is missing."""
    trials = {cell.trial(_epochs(cell.of.recipe), arguments.quick): cell for cell in cells}
    found, faults = {}, {}
    for trial, outcome in outcomes(list(trials), arguments.work, evaluated):
        cell = trials[trial]
        if isinstance(outcome, str):
            faults[cell.of.recipe] = outcome
            print(f"{' '.join([trial.recipe, *trial.changes])}: {outcome}", file=sys.stderr, flush=True)
        else:
            found[cell] = outcome
            values = spread(outcome.values(cell.of.metric))
            print(
                f"{' '.join([trial.recipe, *trial.changes])}: {cell.of.metric} {values}, fine-tuning "
                f"{outcome.seconds['fine_tune']:.0f} s, with all before it {outcome.whole:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return found, faults


def _epochs(recipe: str) -> int:
    from flows.recipe import load_recipe

    fine_tune = load_recipe(recipe).fine_tune
    assert fine_tune is not None
    return fine_tune.epochs


def table(sets: Sequence[BenchmarkSet], found: Outcomes) -> str:
    """A row for each set, as Markdown."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(one, found) for one in sets)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(one: BenchmarkSet, found: Outcomes) -> list[str]:
    cells = [_shown(one, found.get(Cell(one, start, size))) for size in (FEW, 0) for start in (False, True)]
    best = found.get(Cell(one, True, 0))
    if best is None:
        return [one.recipe, one.metric, "", *cells, ""]
    baseline = f"{best.evaluation['baselines'][one.baseline][one.metric]:.3f} ({one.baseline})"
    return [one.recipe, one.metric, baseline, *cells, f"{best.whole / 60 / CORES:.1f}"]


def _shown(one: BenchmarkSet, outcome: Evaluated | None) -> str:
    return spread(outcome.values(one.metric)) if outcome else ""


def verdict(one: BenchmarkSet, found: Outcomes, fault: str) -> str:
    """The line for people and programs: `ok`, `short`, or `measured` where there is no bar but the time."""
    best = found.get(Cell(one, True, 0))
    if best is None or fault:
        return f"short fine_tune_{one.recipe} {fault}"
    found_mean = mean(best.values(one.metric))
    minutes = best.whole / 60 / CORES
    passed = minutes <= MINUTES and (one.bar is None or found_mean >= one.bar)
    word = "short" if not passed else "measured" if one.bar is None else "ok"
    bar = "none" if one.bar is None else f"{one.bar:g}"
    baseline = best.evaluation["baselines"][one.baseline][one.metric]
    return (
        f"{word} fine_tune_{one.recipe} {one.metric}={found_mean:.3f} bar={bar} baseline={baseline:.3f} "
        f"minutes={minutes:.1f} (at most {MINUTES})"
    )


def _write(found: Outcomes, path: Path) -> None:
    rows = [
        {
            "set": cell.of.recipe,
            "pretrained": cell.pretrained,
            "examples": cell.size or "all",
            "seconds": outcome.seconds,
            **{name: outcome.evaluation[name] for name in ("model", "seeds", "baselines", "pretrained")},
        }
        for cell, outcome in found.items()
    ]
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def parser(command: str) -> argparse.ArgumentParser:
    """The options of this benchmark, under a command's name."""
    made = options(argparse.ArgumentParser(prog=command))
    made.add_argument("--quick", action="store_true", help="end within 60 s")
    names = [one.recipe for one in SETS]
    made.add_argument(
        "--only", type=lambda text: text.split(","), default=names, help=f"some of {','.join(names)}"
    )
    return made


def main() -> int:
    """Measure and print; the exit code is 1 when a bar is missed or a set could not be measured."""
    verdicts = measure(parser("python -m benchmarks.fine_tune_quality").parse_args())
    print("\n".join(verdicts))
    return 1 if any(line.startswith("short") for line in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
