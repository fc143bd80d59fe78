"""Two small stages, and what became of them: one counts, the other has the numbers twice."""

import os
from pathlib import Path

from model_code.config.strict import Config
from tasks.contract.artifact import Artifact
from tasks.contract.errors import StageError
from tasks.contract.run import Run, StageOutcome
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace


class CountConfig(Config):
    """How far to count, and what is to go wrong on the way."""

    upto: int = 3
    fails: str = ""


@stage()
def count(config: CountConfig, workspace: Workspace) -> None:
    """Write the numbers, and how often they were written."""
    if config.fails:
        raise {"expected": StageError, "unexpected": RuntimeError}[config.fails]("first\nsecond")
    (workspace.directory / "numbers.txt").write_text(" ".join(map(str, range(config.upto))), encoding="utf-8")
    (workspace.directory / "clock.txt").write_text(str(os.urandom(8)), encoding="utf-8")
    workspace.volatile.add("clock.txt")
    workspace.counts["numbers"] = config.upto


@stage()
def double(counted: Artifact, config: CountConfig, workspace: Workspace) -> None:
    """Write the numbers twice."""
    numbers = (workspace.path(counted) / "numbers.txt").read_text(encoding="utf-8")
    (workspace.directory / "numbers.txt").write_text(f"{numbers} {numbers}", encoding="utf-8")


def walk(home: Path, **options: object) -> list[str]:
    """Count and double; returns what became of each stage, as `count made`."""
    return [f"{outcome.stage} {outcome.state}" for outcome in outcomes(home, **options)]


def outcomes(home: Path, **options: object) -> list[StageOutcome]:
    found: list[StageOutcome] = []
    run = Run(home, record=found.append, **options)  # type: ignore[arg-type]
    double(count(CountConfig(), run), CountConfig(), run)
    return found
