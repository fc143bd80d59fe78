"""Hyperparameter search: Optuna proposes values, a training tries them, the best ones make the model.

TPE (Bergstra et al. 2011) learns from the trials so far; a trial that is below the median of the others after
an epoch ends there. The first trial has the values that the recipe sets, so no search is worse than these.
Trials run in turn and the sampler is seeded anew for each by its number: the same search makes the same
trials, and one that was killed goes on as if it had not been, from the journal in the stage's scratch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from model_code.config.strict import Config
from tasks.contract.child import Event
from tasks.contract.console import escaped, format_cell
from tasks.contract.errors import StageError
from tasks.contract.workspace import Workspace
from tasks.fine_tuning.trials import Trainings
from tasks.tracking.plots import plot_search
from tasks.tracking.search_runs import FinishedTrial, LiveSearch

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as OptunaTrial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Number = TypeVar("Number", int, float)


def _rising(bounds: tuple[Number, Number]) -> tuple[Number, Number]:
    if bounds[0] >= bounds[1]:
        raise ValueError("give the lowest value, then a higher one")
    return bounds


def _different(choices: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(choices)) < max(2, len(choices)):
        raise ValueError("give two values or more, each once")
    return choices


Rate = Annotated[float, Field(gt=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rates = Annotated[tuple[Rate, Rate], AfterValidator(_rising)]
Shares = Annotated[tuple[ShareBelowOne, ShareBelowOne], AfterValidator(_rising)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_rising)]
Choices = Annotated[tuple[Count, ...], AfterValidator(_different)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], AfterValidator(_different)]
# Values that are chosen from a list; the others lie between two bounds.
CHOSEN = ("batch_size", "seed")
# Random trials before TPE has something to learn from, and whole ones before any is ended early.
STARTUP = 5
MOST_TRIALS = 1000
OF_THE_SEARCH = ("trials", "seed")  # all other fields of its section are ranges
USUAL = {"epochs": [2, 5], "batch_size": [16, 32, 64]}
# Around the rates of Devlin et al. 2019 and those of smaller models; adapters bear ten times as much.
RATES_FOR_OUR_OWN, RATES_FOR_PUBLISHED, RATES_FOR_ADAPTERS = [3e-4, 5e-3], [2e-5, 5e-4], [2e-4, 5e-3]


class SearchConfig(Config):
    """What is searched: values of fine_tune by their names, each with its lowest and its highest.

    Where none is named, `learning_rate`, `epochs` and `batch_size` are searched.
    """

    trials: int = Field(
        12, ge=2, le=MOST_TRIALS, description="Trainings; the first has the values that the recipe sets."
    )
    seed: int = Field(0, ge=0, le=1_000_000, description="Of the values that are tried.")
    learning_rate: Rates | None = Field(None, description="On a logarithmic scale.")
    muon_learning_rate: Rates | None = Field(None, description="On a logarithmic scale.")
    batch_size: Choices | None = Field(None, description="The sizes to choose from.")
    seeds: Seeds | None = Field(None, description="The seeds of the training to choose from.")
    epochs: CountRange | None = Field(None, description="The learning rate falls over a trial's own epochs.")
    warmup_fraction: Shares | None = Field(None, description="On a linear scale.")
    weight_decay: Shares | None = Field(None, description="On a linear scale.")
    label_smoothing: Shares | None = Field(None, description="On a linear scale.")
    head_dropout: Shares | None = Field(None, description="On a linear scale.")
    layer_decay: Rates | None = Field(None, description="On a linear scale.")

    @property
    def space(self) -> dict[str, tuple[Any, ...]]:
        """What is searched, by its name in `fine_tune`, and between or among which values."""
        values = self.model_dump(exclude={*OF_THE_SEARCH, "seeds"}) | {"seed": self.seeds}
        return {name: bounds for name, bounds in values.items() if bounds}


def with_usual_ranges(given: Mapping[str, Any], recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `search` section; where it names nothing to search, with what is usual, the recipe's own among it.

    `recipe` is the section `fine_tune` that it stands in, as it is written.
    """
    named = (name for name, bounds in given.items() if name not in OF_THE_SEARCH and bounds is not None)
    if next(named, None):
        return given
    rates = RATES_FOR_OUR_OWN
    if recipe.get("start_from"):
        rates = RATES_FOR_ADAPTERS if recipe.get("lora") is not None else RATES_FOR_PUBLISHED
    usual: dict[str, list[Any]] = {"learning_rate": rates, **USUAL}
    return {**given, **{name: _with_own(name, recipe.get(name), bounds) for name, bounds in usual.items()}}


def _with_own(name: str, own: Any, bounds: list[Any]) -> list[Any]:
    """The bounds, wide enough for what the recipe sets, which the first trial has."""
    if not isinstance(own, int | float):
        return bounds
    return sorted({*bounds, own}) if name in CHOSEN else [min(bounds[0], own), max(bounds[1], own)]


def search(
    config: SearchConfig, trainings: Trainings, workspace: Workspace, experiment: str
) -> dict[str, Any]:
    """Run the trials; write `search.json` and `search.png` into the artifact, and return the best values.

    What decides is the score on the validation split. With an MLflow `experiment` each trial is a run there.

    Raises:
        StageError: the first trial failed. Of a later one (a loss that is not a number) it is told and noted.
    """
    study = _open_study(workspace.scratch / "search.journal")
    with LiveSearch(experiment, workspace.key, config.space) as live:
        for trial in _trials(study):
            live.trial(trial)
        for number in range(len(_trials(study)) + 1, config.trials + 1):
            _run_trial(study, number, config, trainings)
            trials = _trials(study)
            best = _best(trials)
            for trial in trials:
                if trial.values != best.values:
                    trainings.forget(trial.values)
            live.trial(trials[-1])
            workspace.say(f"{_described(trials[-1], config.trials)}; best so far {best.score:.4f}")
        trials = _trials(study)
        for file in _write(trials, _importances(study), workspace):
            live.attach(file)
    return dict(_best(trials).values)


def _run_trial(study: Study, number: int, config: SearchConfig, trainings: Trainings) -> None:
    """Ask for the values of trial `number` (from 1), train with them, and tell what came of it."""
    from optuna import TrialPruned
    from optuna.trial import TrialState

    trial = _ask(study, number, config, trainings.config)
    started = time.monotonic()
    score = None
    try:
        score = _score(trial, trainings, f"trial {number} of {config.trials}")
    except TrialPruned:
        pass
    except StageError as error:
        if number == 1:
            raise
        trial.set_user_attr("error", str(error))
    trial.set_user_attr("seconds", round(time.monotonic() - started, 2))
    # To TPE a pruned trial that reported nothing is the worst of all.
    study.tell(trial, score, state=TrialState.COMPLETE if score is not None else TrialState.PRUNED)


def _ask(study: Study, number: int, config: SearchConfig, recipe: Mapping[str, Any]) -> OptunaTrial:
    """The values of a trial, which follow from its number and the trials before it alone."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    for killed in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(killed.number, state=TrialState.FAIL)
    study.sampler = TPESampler(seed=MOST_TRIALS * config.seed + number, n_startup_trials=STARTUP)
    if number == 1 and not study.get_trials(states=(TrialState.WAITING,)):
        study.enqueue_trial(_own_values(config, recipe))
    return study.ask({name: _distribution(name, bounds) for name, bounds in config.space.items()})


def _score(trial: OptunaTrial, trainings: Trainings, what: str) -> float:
    """Train with the values of a trial and report each epoch.

    Raises TrialPruned after an epoch below the median, and StageError when the training failed.
    """
    from optuna import TrialPruned
    from optuna.trial import TrialState

    epochs = (dict(trainings.config) | trial.params)["epochs"]
    reported: set[int] = set()

    def listen(event: Event) -> None:
        if event.get("event") == "evaluation" and event["epoch"] not in reported:
            reported.add(event["epoch"])
            trial.report(event["score"], event["epoch"])
            if event["epoch"] < epochs and trial.should_prune():
                raise TrialPruned

    # The same values give the same figures: those of an attempt that was killed, or of a trial before.
    over = (earlier for earlier in trial.study.get_trials() if earlier.state.is_finished())
    alike = [earlier for earlier in over if earlier.params == trial.params]
    for epoch, score in (item for earlier in alike for item in earlier.intermediate_values.items()):
        listen({"event": "evaluation", "epoch": epoch, "score": score})
    for earlier in alike:
        if earlier.state == TrialState.COMPLETE:
            return float(earlier.values[0])
    training = trainings.run(trial.params, what, listen)
    if not math.isfinite(training.score):
        raise StageError(f"the score of the training is {training.score}")
    return training.score


def _open_study(journal: Path) -> Study:
    """The study as far as it has come. The stage's lock is held: nobody else reads or writes the journal."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if journal.exists():
        written = journal.read_bytes()
        journal.write_bytes(written[: written.rfind(b"\n") + 1])  # without a line that was torn
    Path(f"{journal}.lock").unlink(missing_ok=True)  # a killed process left it
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name="search",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
        load_if_exists=True,
    )


def _distribution(name: str, bounds: tuple[Any, ...]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if name in CHOSEN:
        return CategoricalDistribution(bounds)
    if name == "epochs":
        return IntDistribution(*bounds)
    lowest, highest = bounds
    return FloatDistribution(lowest, highest, log=name.endswith("learning_rate"))


def _own_values(config: SearchConfig, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's own values, as far as they are among those that are searched and set."""
    own = {name: (recipe[name], bounds) for name, bounds in config.space.items() if recipe[name] is not None}
    return {
        name: value
        for name, (value, bounds) in own.items()
        if (value in bounds if name in CHOSEN else bounds[0] <= value <= bounds[-1])
    }


def _trials(study: Study) -> list[FinishedTrial]:
    """The trials that are over, numbered from 1; attempts that were killed are not among them."""
    from optuna.trial import TrialState

    over = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [_trial(number, frozen) for number, frozen in enumerate(over, 1)]


def _trial(number: int, frozen: FrozenTrial) -> FinishedTrial:
    from optuna.trial import TrialState

    error, epochs = frozen.user_attrs.get("error", ""), frozen.intermediate_values
    complete = frozen.state == TrialState.COMPLETE
    return FinishedTrial(
        number=number,
        state="complete" if complete else "failed" if error else "pruned",
        values=frozen.params,
        score=frozen.values[0] if complete else max(epochs.values(), default=-math.inf),
        epochs=epochs,
        seconds=frozen.user_attrs["seconds"],
        error=error,
    )


def _best(trials: Sequence[FinishedTrial]) -> FinishedTrial:
    return max((trial for trial in trials if trial.state == "complete"), key=lambda trial: trial.score)


def _importances(study: Study) -> dict[str, float]:
    """How much each value decides about the score, 1 together (PED-ANOVA, Watanabe et al. 2023)."""
    from optuna.importance import get_param_importances

    scores = {trial.score for trial in _trials(study) if trial.state == "complete"}
    return get_param_importances(study) if len(scores) > 1 else {}


def _described(trial: FinishedTrial, of: int) -> str:
    values = ", ".join(f"{name} {format_cell(value)}" for name, value in trial.values.items())
    match trial.state:
        case "complete":
            came = f"score {trial.score:.4f}"
        case "pruned":
            came = f"ended after epoch {max(trial.epochs)}, score {trial.score:.4f} is below the median"
        case "failed":
            came = f"[yellow]failed: {escaped(trial.error.partition(chr(10))[0])}[/]"
    return f"trial {trial.number} of {of}: {values}: {came}"


def _write(
    trials: Sequence[FinishedTrial], importances: Mapping[str, float], workspace: Workspace
) -> tuple[Path, Path]:
    """Write what was found and its plot; show it, and return the two files."""
    best, names = _best(trials), list(trials[0].values)
    scores = [trial.score for trial in trials]
    summary = {
        "best": best.number,
        "values": best.values,
        "score": best.score,
        "importances": importances,
        "trials": [
            trial._asdict() | {"score": score if math.isfinite(score) else None}
            for trial, score in zip(trials, scores, strict=True)
        ],
    }
    written, plot = workspace.directory / "search.json", workspace.directory / "search.png"
    written.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    workspace.volatile.add(written.name)  # it holds seconds
    plot_search(scores, [trial.state for trial in trials], importances, plot)
    rows = [
        (t.number, *(t.values[name] for name in names), t.state, f"{t.score:.4f}", t.seconds) for t in trials
    ]
    workspace.table("Trials", ["trial", *names, "state", "score", "seconds"], rows)
    workspace.counts |= {"trials": len(trials), "trials pruned": sum(t.state == "pruned" for t in trials)}
    workspace.metrics |= {"first trial score": trials[0].score, "best trial score": best.score}
    workspace.metrics |= {f"best {name}": float(value) for name, value in best.values.items()}
    return written, plot
