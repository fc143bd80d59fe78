"""What the command's verbs do: run, plan, list and clear away; their arguments are read in `cli.py`."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from corpus.redaction import redacted
from flows import environment, servers
from flows.checks_before_a_run import check, check_recipe
from flows.home import make_private
from flows.question import ask, draw
from flows.recipe import Recipe, load_recipe
from flows.run_record import RunRecord, own_record, records
from flows.stages import after, before, check_order, check_stages, last_stage, needs
from tasks.checkpoints import kept
from tasks.collection.kept_sources import forget_unused
from tasks.contract.console import console
from tasks.contract.errors import RecipeError
from tasks.contract.run import PENDING, Run, StageOutcome
from tasks.contract.store import Store
from tasks.tracking import own_servers


def load(reference: str, overrides: Sequence[str], *, smoke: bool = False) -> Recipe:
    """Read the recipe, and set the environment before Prefect and MLflow are imported."""
    make_private()
    os.environ.update(servers.process_variables())
    # Prefect's log goes to its own pages; on the terminal our lines are enough.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    return load_recipe(reference, overrides, smoke=smoke)


def run_all(recipe: Recipe, start: str | None, until: str | None, refresh: Sequence[str]) -> None:
    """Run the pipeline as a Prefect flow; print the answers to the recipe's questions.

    Raises:
        TextmillError: a stage, the gate or a server said no.
    """
    from flows.lifecycle import lifecycle
    from flows.session import prepare

    check_stages(recipe, [*refresh, *(stage for stage in (start, until) if stage)])
    check_order(start, until)
    prepare(["prefect"])
    console.print(f"[bold]{recipe.name}[/] {recipe.description}")
    try:
        lifecycle(recipe, start, until, tuple(refresh))
    finally:
        _print_closing(recipe)


def run_one(recipe: Recipe, only: str, *, refresh: bool) -> None:
    """Make the artifact of one stage from the artifacts that are there."""
    from flows.lifecycle import run_stages
    from flows.session import Session

    check_stages(recipe, [only])
    session = Session(
        recipe,
        given=before(only),
        refresh=[only] if refresh else (),
        skipped=after(only),
        needs=needs(recipe, [only]),
    )
    with session as run:
        run_stages(recipe, run, lambda part: part.fn)


def plan(recipe: Recipe, refresh: Sequence[str]) -> None:
    """Print what a run would make and what it would find.

    Raises:
        RecipeError: a run would be refused before its first stage.
    """
    from flows.lifecycle import run_stages

    check_stages(recipe, refresh)
    unknown = _unknown_registry()
    outcomes: list[StageOutcome] = []
    skipped = after(last_stage(recipe))
    run = Run(environment.home(), refresh=refresh, skipped=skipped, planning=True, record=outcomes.append)
    run_stages(recipe, run, lambda part: part.fn)
    if any(outcome.state == "pending" for outcome in outcomes):
        check(recipe, skipped, fetch=False)
    words = {"cached": "cached", "pending": "would run"}
    for outcome in outcomes:
        digest = outcome.digest[:12] if outcome.state == "cached" else ""
        console.print(f"{outcome.stage:<15} {words[outcome.state]:<10} {digest}")
    if unknown:
        console.print(f"{unknown}, so what is registered is not known", markup=False)


def dry_run(recipe: Recipe) -> None:
    """Print what the recipe's pretraining would need.

    Raises:
        RecipeError: nothing is pretrained, or a run would be refused before its first stage.
    """
    from flows import before_pretraining

    if recipe.pretrain is None and recipe.examples:
        check_recipe(recipe, fetch=False)
        raise RecipeError(
            f"{recipe.name} starts from {recipe.start_from}, so nothing is pretrained, and a dry run has "
            "nothing to tell; `textmill plan` says what would run"
        )
    check_stages(recipe, ["pretrain"])
    check_recipe(recipe, skipped=after("pretrain"))
    before_pretraining.dry_run(recipe)


def tune(recipe: Recipe) -> None:
    """Print the micro-batch and the rates that suit the recipe's pretraining on this machine."""
    from flows import before_pretraining

    check_stages(recipe, ["pretrain"])
    check_recipe(recipe, skipped=after("pretrain"))
    before_pretraining.tune(recipe)


def list_runs(recipe: str | None, last: int) -> None:
    """Print the newest runs."""
    chosen = [record for record in records(environment.home()) if recipe in (None, record.recipe)][:last]
    if not chosen:
        console.print("no runs yet")
        return
    # A run's name begins with the date and time (UTC) of its start.
    rows = [("run", "recipe", "verdict", "version", "seconds")]
    for record in chosen:
        version, seconds = str(record.version or ""), f"{record.seconds:.0f}"
        rows.append((record.id, record.recipe, record.state, version, seconds))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    messages = ["", *(" ".join(record.message.split()) for record in chosen)]
    for row, message in zip(rows, messages, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _print_row(line, message)


def _print_row(line: str, message: str) -> None:
    """A row and its message: on a terminal below it, as far as two lines hold; else all in one line."""
    if not console.is_terminal:
        console.print(f"{line}  {message}".rstrip(), markup=False)
        return
    console.print(line.rstrip(), soft_wrap=False, overflow="ellipsis", no_wrap=True, markup=False)
    for part in textwrap.wrap(message, console.width - 2, max_lines=2, placeholder=" …"):
        console.print(f"  {part}", markup=False)


def collect_garbage(keep: int) -> None:
    """Remove artifacts that none of the last `keep` runs of any recipe refers to."""
    wanted: set[tuple[str, str]] = set()
    seen: dict[str, int] = {}
    is_running = False
    for record in records(environment.home()):
        seen[record.recipe] = seen.get(record.recipe, 0) + 1
        is_running |= record.state == "running"
        if seen[record.recipe] <= keep or record.state == "running":
            wanted |= {(outcome.stage, outcome.key) for outcome in record.outcomes}
    store = Store(environment.home())
    removed, freed = store.collect_garbage(wanted)
    freed += forget_unused(store)
    if not is_running:  # it may have brought a checkpoint that no artifact of it has started from yet
        freed += kept.forget_unused(store)
    console.print(f"{removed} artifacts removed, {freed / 1e6:,.1f} MB freed")


def _unknown_registry() -> str:
    """Why a plan can't know what is registered, "" if it can; then no other server is asked instead."""
    if url := environment.external_url("mlflow"):
        if wrong := own_servers.server_fault("mlflow", url):
            return f"MLFLOW_TRACKING_URI={redacted(url)} {wrong}"
        return ""
    if servers.find("mlflow"):
        return ""
    # At our port there may be the server of another home.
    os.environ["MLFLOW_TRACKING_URI"] = ""
    return "MLflow is not running (start it with `textmill up`)"


def _print_closing(recipe: Recipe) -> None:
    """The last lines of a run: how it ended, the served answers, and where to look."""
    record = own_record(environment.home())
    if record is None:
        return
    counted = [f"{state} {n}" for state in ("made", "cached", "failed") if (n := _count(record, state))]
    # On a full disk a record keeps the state that could last be written.
    state = "ended" if record.state == "running" else record.state
    console.print(f"\n[bold]{state}[/] in {record.seconds:.0f} s: stages {', '.join(counted)}")
    deployed = any(outcome.stage == "deploy" and outcome.digest != PENDING for outcome in record.outcomes)
    if record.state == "completed" and deployed and recipe.questions:
        for question, answer in ask(recipe.questions, recipe.registration.model, hits=3):
            draw(question, answer, top=3)
    folder = environment.home() / "runs" / record.id
    console.print()
    for name, place in _places(record, folder):
        console.print(f"{name:<10} {place}")


def _places(record: RunRecord, folder: Path) -> list[tuple[str, str]]:
    places = [("report", f"{folder / 'report.html'}")]
    if record.flow_run and "Prefect" in record.urls:
        page = f"{record.urls['Prefect']}/runs/flow-run/{record.flow_run}"
        places.append(("Prefect", servers.link("prefect", page)))
    if "MLflow" in record.urls:
        places.append(("MLflow", servers.link("mlflow", record.urls["MLflow"])))
    places += [(name, record.urls[name]) for name in ("Triton", "Page") if name in record.urls]
    return places


def _count(record: RunRecord, state: str) -> int:
    return sum(outcome.state == state for outcome in record.outcomes)
