"""Recipes trained by their stages alone, two at a time: what the quality benchmarks measure is the product.

Stages find what another recipe has made, so recipes that share a corpus share its pretraining, and a run that
was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from flows.recipe import Recipe
    from tasks.contract.artifact import Artifact
    from tasks.contract.run import Run

Trial = TypeVar("Trial")
Outcome = TypeVar("Outcome")

SIDE_BY_SIDE = 2
# Random weights as a checkpoint: one step at next to no rate.
RANDOM = ("pretrain.steps=1", "pretrain.learning_rate=1e-12", "pretrain.muon_learning_rate=1e-12")


@dataclass(frozen=True)
class ChangedRecipe:
    """A recipe with some of its values changed, as `--set` does it."""

    recipe: str
    changes: tuple[str, ...] = ()
    smoke: bool = False


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` found; of each stage the seconds that it took when it was made, and its figures."""

    evaluation: Mapping[str, Any]
    seconds: Mapping[str, float]
    training: Mapping[str, float]

    @property
    def whole(self) -> float:
        """Seconds of one core from the first stage to the last."""
        return sum(self.seconds.values())

    def values(self, metric: str) -> list[float]:
        """A metric on the test examples, of each seed."""
        models = self.evaluation["seeds"].get("models", [self.evaluation["model"]])
        return [float(model[metric]) for model in models]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, e.g. `0.802 ± 0.004`."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Where the data are, and where what is made of them is kept."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with sst2, tnews and so on")
    parser.add_argument(
        "--work", type=Path, default=Path("build/fine_tune"), help="what is made is kept here"
    )
    return parser


def prepare(work: Path, data: Path) -> None:
    """Make `work` the folder in which recipes find their data."""
    work.mkdir(parents=True, exist_ok=True)
    link = work / "data"
    link.unlink(missing_ok=True)
    link.symlink_to(data.absolute())


def outcomes(
    trials: Sequence[Trial], work: Path, measured: Callable[[Trial, Path], Outcome]
) -> Iterator[tuple[Trial, Outcome | str]]:
    """What was measured of each trial, or why nothing was, as they end; each on one core."""
    context = get_context("spawn")
    cores = context.Queue()
    for _, core in zip(range(SIDE_BY_SIDE), cycle(sorted(os.sched_getaffinity(0))), strict=False):
        cores.put(core)
    with ProcessPoolExecutor(
        SIDE_BY_SIDE, mp_context=context, initializer=_take_core, initargs=(cores,)
    ) as pool:
        running = {pool.submit(_in_process, measured, trial, work): trial for trial in trials}
        for done in as_completed(running):
            yield running[done], done.result()


def _take_core(cores: Queue[int]) -> None:
    """Keep this process, and the trainings that it starts, on a core of its own."""
    os.sched_setaffinity(0, {cores.get()})


def _in_process(measured: Callable[[Trial, Path], Outcome], trial: Trial, work: Path) -> Outcome | str:
    from tasks.contract.errors import TextmillError

    log = work.absolute() / f"trials-{os.getpid()}.log"
    with log.open("a", encoding="utf-8") as words, redirect_stdout(words):
        try:
            return measured(trial, work)
        except TextmillError as error:
            return str(error)
        except Exception as error:
            traceback.print_exc(file=words)
            return f"{type(error).__name__}: {error}; the whole traceback is in {log}"


def evaluated(trial: ChangedRecipe, work: Path) -> Evaluated:
    """Walk from the raw files to the evaluation; the corpus passes its checkpoints, nothing is registered.

    Raises:
        TextmillError: a stage said no.
    """
    from tasks.evaluate import evaluate
    from tasks.fine_tune import fine_tune

    with chdir(work):
        recipe, run = _opened(trial)
        assert recipe.fine_tune is not None
        tokens, labelled, pretrained, *before = _given(recipe, run)
        model = fine_tune(labelled, pretrained, None, recipe.fine_tune, run)
        evaluation = evaluate(tokens, labelled, pretrained, model, None, recipe.evaluate, run)
        made = (*before, tokens, labelled, pretrained, model, evaluation)
        manifests = {artifact.stage: run.store.manifest(artifact.stage, artifact.key) for artifact in made}
        return Evaluated(
            json.loads((run.store.path(evaluation) / "evaluation.json").read_text(encoding="utf-8")),
            {stage: manifest.seconds for stage, manifest in manifests.items() if manifest},
            manifests["fine_tune"].metrics if manifests["fine_tune"] else {},
        )


def given(trial: ChangedRecipe, work: Path) -> tuple[Path, Path, Path]:
    """The folders of what a training begins with: tokens, examples, the pretrained model."""
    with chdir(work):
        recipe, run = _opened(trial)
        tokens, labelled, pretrained, *_ = _given(recipe, run)
        return run.store.path(tokens), run.store.path(labelled), run.store.path(pretrained)


def _opened(trial: ChangedRecipe) -> tuple[Recipe, Run]:
    from flows.recipe import load_recipe
    from tasks.contract.run import Run

    return load_recipe(trial.recipe, trial.changes, smoke=trial.smoke), Run(Path("store"))


def _given(recipe: Recipe, run: Run) -> tuple[Artifact, ...]:
    """Tokens, examples and the pretrained model; then the collected and the cleaned text."""
    from flows.lifecycle import corpus
    from tasks.examples import example_files, examples
    from tasks.pretrain import pretrain

    assert recipe.pretrain is not None
    assert recipe.examples is not None
    collected, cleaned, tokens = corpus.fn(recipe, run)
    labelled = examples(example_files(recipe.examples), None, None, recipe.examples, run)
    return tokens, labelled, pretrain(tokens, recipe.pretrain, run), collected, cleaned
