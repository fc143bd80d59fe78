"""The record of a run: what was asked for, what became of every stage, and how it ended.

One JSON file per run, `<home>/runs/<id>/run.json`, rewritten at every step, beside the run's report.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from corpus.atomic import whole_file
from corpus.redaction import all_redacted, redacted
from deploy.processes import Process
from tasks.contract.artifact import Artifact
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store

State = Literal["running", "completed", "refused", "failed", "killed"]


class RunRecord(BaseModel):
    """One run, as far as it has come. `started` is when the process `pid` was (deploy/processes.py).

    `stages` are those of the recipe. `home` and `machine` say where that process is: a record may have been
    copied, its disk may be shared. `endpoint` is what Triton had counted of it (deploy/metrics.py).
    """

    model_config = ConfigDict(extra="ignore")  # what another version of textmill wrote is still listed

    id: str
    recipe: str
    command: str
    started_at: str
    finished_at: str | None = None
    seconds: float = 0.0
    state: State = "running"
    message: str = ""
    stages: list[str] = []
    outcomes: list[StageOutcome] = []
    settings: dict[str, Any] = {}
    urls: dict[str, str] = {}
    version: int | None = None
    endpoint: dict[str, float] = {}
    flow_run: str | None = None
    pid: int
    started: str = ""
    home: str = ""
    machine: str = ""


class Recorder:
    """Writes the record of the run of this process."""

    def __init__(self, home: Path, recipe: str, settings: dict[str, Any], urls: dict[str, str]) -> None:
        started = datetime.now(UTC)
        self._clock = time.monotonic()
        self.record = RunRecord(
            id=f"{started:%Y%m%d-%H%M%S}-{uuid4().hex[:6]}",
            recipe=recipe,
            command=_command(),
            started_at=started.isoformat(timespec="seconds"),
            settings=all_redacted(settings),
            urls=urls,
            pid=os.getpid(),
            started=Process.named(os.getpid()).started,
            home=str(home.resolve()),
            machine=platform.node(),
        )
        self.folder = home / "runs" / self.record.id
        self.folder.mkdir(parents=True)
        self.save()

    def outcome(self, outcome: StageOutcome) -> None:
        """Note what became of a stage."""
        self.record.outcomes.append(outcome)
        self.save()

    def finish(self, state: State, message: str = "") -> None:
        """Note how the run ended."""
        self.record.state, self.record.message = state, message
        self.record.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.save()

    def save(self) -> None:
        """Write the record; a reader sees the old one or the new one."""
        self.record.seconds = round(time.monotonic() - self._clock, 1)
        write(self.folder, self.record)


def write(folder: Path, record: RunRecord) -> None:
    """Write a record into the folder of its run, in one step."""
    with whole_file(folder / "run.json") as unfinished:
        unfinished.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def records(home: Path) -> Iterator[RunRecord]:
    """All runs of a home, newest first; one whose process is gone without a word counts as killed."""
    for path in sorted((home / "runs").glob("*/run.json"), reverse=True):
        try:
            record = RunRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if record.state == "running" and not _goes_on(record, home):
            record.state, record.message = "killed", "its process ended without a word"
        yield record


def belongs_to(record: RunRecord, home: Path) -> bool:
    """Whether a run is of this home: not of one that this is a copy of."""
    return record.home in ("", str(home.resolve()))


def _goes_on(record: RunRecord, home: Path) -> bool:
    if not belongs_to(record, home):
        return False
    if record.machine not in ("", platform.node()):
        return True  # on a disk that machines share; from here nobody can see its process
    return Process(record.pid, record.started).is_alive()


def own_record(home: Path) -> RunRecord | None:
    """The newest run of this very process; another process may have begun a newer one in the same home."""
    own = (record for record in records(home) if record.pid == os.getpid())
    return next((record for record in own if Process(record.pid, record.started).is_alive()), None)


def last_artifact(store: Store, recipe: str, stage: str) -> Artifact | None:
    """What a stage made or found in the newest run of a recipe in which it did, if it is still there."""
    for record in records(store.home):
        artifact = _artifacts(record).get(stage) if record.recipe == recipe else None
        if artifact and _is_there(store, artifact):
            return artifact
    return None


def verdict_before(store: Store, recipe: str, cleaned: Artifact) -> Artifact | None:
    """The verdict on the last corpus of this recipe that passed and is not this one; None: there is none.

    A repeated run finds the same one as the first run with this corpus, as long as no run with another
    corpus came between.
    """
    for record in records(store.home):
        made = _artifacts(record) if record.recipe == recipe else {}
        verdict, corpus = made.get("validate_clean"), made.get("clean")
        if verdict and corpus and corpus.digest != cleaned.digest and _is_there(store, verdict):
            return verdict
    return None


def _artifacts(record: RunRecord) -> dict[str, Artifact]:
    return {
        outcome.stage: Artifact(stage=outcome.stage, key=outcome.key, digest=outcome.digest)
        for outcome in record.outcomes
        if outcome.state in ("made", "cached")
    }


def _is_there(store: Store, artifact: Artifact) -> bool:
    manifest = store.manifest(artifact.stage, artifact.key)
    return manifest is not None and manifest.digest == artifact.digest


def _command() -> str:
    import shlex

    return redacted(shlex.join(["textmill", *sys.argv[1:]]))
