"""What surrounds a run of the pipeline: servers that run, a record, and a report at the end.

The same whether the command, the Prefect UI or a schedule started it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from corpus.redaction import redacted
from deploy import metrics
from flows import crash_watch, environment, servers
from flows.checks_before_a_run import check
from flows.home import make_private
from flows.recipe import Recipe
from flows.report import data_docs, write_report
from flows.run_record import Recorder, State, belongs_to, records, write
from flows.server_kinds import Name
from flows.stages import stages_of
from tasks.contract import console
from tasks.contract.errors import GateRefused, TextmillError
from tasks.contract.run import Run, StageOutcome
from tasks.contract.store import Store
from tasks.deploy import TRITON_HOME
from tasks.tracking import slow_server_messages

TITLES: dict[Name, str] = {"prefect": "Prefect", "mlflow": "MLflow", "triton": "Triton", "door": "Page"}
MARKS = {"made": "[green]made[/]", "cached": "[cyan]cached[/]", "failed": "[red]failed[/]"}


class Session:
    """A context manager around one run; entering it gives the `Run` that stages are called with.

    Args:
        recipe: what is made.
        given, refresh, skipped: as in `Run`.
        needs: the servers that this run talks to; they are started when they don't run.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        given: Sequence[str] = (),
        refresh: Sequence[str] = (),
        skipped: Sequence[str] = (),
        needs: Sequence[Name] = servers.NAMES,
    ) -> None:
        self.recipe, self.given, self.refresh, self.skipped = recipe, given, refresh, skipped
        self.needs = needs
        self.home = environment.home()

    def __enter__(self) -> Run:
        flow_run = _flow_run_id()
        self._watch = crash_watch.begin(flow_run) if flow_run else None
        prepare(self.needs)  # before the mark, since servers outlive the run
        if flow_run:
            os.environ[crash_watch.MARK] = flow_run
        os.environ["MLFLOW_EXPERIMENT_NAME"] = self.recipe.registration.model
        close_killed_runs(self.home)
        urls = {
            TITLES[status.name]: redacted(status.url)
            for status in servers.status()
            if status.state != "stopped"
        }
        self.recorder = Recorder(self.home, self.recipe.name, self.recipe.as_used(), urls)
        self.recorder.record.stages = list(stages_of(self.recipe))
        self.recorder.record.flow_run = flow_run
        _keep_no_tracebacks()
        slow_server_messages.say_attempts("Prefect")
        return Run(
            self.home,
            given=self.given,
            refresh=self.refresh,
            skipped=self.skipped,
            check=self._check,
            record=self._record,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        record = self.recorder.record
        record.version = _version(self.home, record.outcomes)
        record.endpoint = _endpoint(self.home, record.outcomes)
        state, message = _verdict(error)
        self.recorder.finish(state, message)
        report = self.recorder.folder / "report.html"
        try:
            write_report(record, Store(self.home), report)
            self._publish(report)
        except Exception as failure:  # the run's own verdict must not be hidden by that of its report
            console.say(f"[yellow]the report could not be written and attached: {failure}[/]")
        os.environ.pop(crash_watch.MARK, None)
        if self._watch:
            self._watch.kill()
            self._watch.wait()

    def _check(self) -> None:
        """Refuse what can be refused now, before anything costs hours."""
        check(self.recipe, self.skipped)

    def _record(self, outcome: StageOutcome) -> None:
        self.recorder.outcome(outcome)
        if outcome.state in MARKS:
            digest = "" if outcome.state == "failed" else f"[dim]{outcome.digest[:12]}[/]"
            state = MARKS[outcome.state] + " " * (7 - len(outcome.state))
            console.say(f"{outcome.stage:<15} {state} {outcome.seconds:7.1f} s  {digest}")

    def _publish(self, report: Path) -> None:
        """Attach the report and the Data Docs to the MLflow run, and link them from the Prefect UI."""
        record = self.recorder.record
        logged = "register" if self.recipe.examples else "pretrain"
        outcome = next((o for o in record.outcomes if o.stage == logged), None)
        if outcome and outcome.state in MARKS:
            from tasks.tracking.runs import attach

            model, key = self.recipe.registration.model, outcome.key
            if link := attach(model, key, report):
                console.show_link("report", link, "Report of this run, in MLflow")
            for stage, page in data_docs(record, Store(self.home)).items():
                if page.exists() and (link := attach(model, key, page, stage)):
                    console.show_link(f"{stage}-in-mlflow", link, f"Data Docs of {stage}, in MLflow")
        lines = [f"**{record.state}** {record.message}", f"The report on this machine: `{report}`"]
        console.show_markdown("verdict", "\n\n".join(lines), f"How the run of {record.recipe} ended")


def prepare(needs: Sequence[Name]) -> None:
    """Start the servers that are needed, and let this process know where they are.

    Raises:
        ServerError: one of them can't be started.
    """
    make_private()  # a worker of Prefect's starts runs too
    servers.check_own(needs)
    missing = [name for name in needs if not servers.find(name)]
    if missing:
        console.say(f"starting {', '.join(missing)}")
        if set(missing) == set(servers.NAMES):
            servers.up()
        else:
            for name in missing:
                servers.start(name)
    os.environ.update(servers.process_variables())
    if "prefect" in sys.modules:  # it may have been imported before its server had a key
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def close_killed_runs(home: Path) -> None:
    """Give runs whose process was killed an end, in their record and in the Prefect UI."""
    for record in records(home):
        if record.state == "killed" and record.finished_at is None:
            record.finished_at = record.started_at
            write(home / "runs" / record.id, record)
            if record.flow_run and belongs_to(record, home) and "prefect" in sys.modules:
                crash_watch.crash(record.flow_run)


def _keep_no_tracebacks() -> None:
    """Prefect keeps what its run loggers are told; a traceback quotes the data that an error is about."""
    # Lines that did not reach Prefect are no news: what failed beside them is one sentence of ours.
    logging.raiseExceptions = False

    def shorten(record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), None
        record.exc_info = record.exc_text = None
        return True

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        for handler in logging.getLogger(name).handlers:
            if not handler.filters:
                handler.addFilter(shorten)


def _flow_run_id() -> str | None:
    if not console.in_prefect_run():
        return None
    from prefect.runtime import flow_run

    return str(flow_run.id)


def _version(home: Path, outcomes: Sequence[StageOutcome]) -> int | None:
    """The version that the run deployed or, when it ended before, registered."""
    keys = {outcome.stage: outcome.key for outcome in outcomes if outcome.state in ("made", "cached")}
    for stage in ("deploy", "register"):
        if stage in keys and (manifest := Store(home).manifest(stage, keys[stage])):
            return int(manifest.external["version"])
    return None


def _endpoint(home: Path, outcomes: Sequence[StageOutcome]) -> dict[str, float]:
    """What Triton has counted of the endpoint that the run deployed or found deployed; else empty."""
    deployed = next((o for o in outcomes if o.stage == "deploy" and o.state in ("made", "cached")), None)
    if deployed is None or (manifest := Store(home).manifest("deploy", deployed.key)) is None:
        return {}
    model, version = manifest.external["model"], int(manifest.external["version"])
    return metrics.endpoint_figures(home / TRITON_HOME, model, version)


def _verdict(error: BaseException | None) -> tuple[State, str]:
    if error is None:
        return "completed", ""
    if isinstance(error, GateRefused):
        return "refused", str(error)
    if isinstance(error, TextmillError):
        return "failed", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "failed", "interrupted"
    return "failed", redacted(f"{type(error).__name__}: {error}")
