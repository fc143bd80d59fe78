"""Several trainings for one artifact: the trials of a search, the seeds of a figure, the one that is kept.

Each has a folder in the stage's scratch that is named after its values. So after a kill the one that was
under way goes on from its checkpoint, and one that is finished is not repeated, whoever asks for it: the
model that a search ends with is that of its best trial.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from corpus.atomic import whole_file
from tasks.contract.artifact import canonical, sha256_text
from tasks.contract.child import Event, run_child
from tasks.contract.workspace import Workspace

Listen = Callable[[Event], None]


class Training(NamedTuple):
    """A finished training: what it was given, what came of it, and where it left its files."""

    values: Mapping[str, Any]
    metrics: Mapping[str, Any]
    output: Path

    @property
    def score(self) -> float:
        """The figure by which the best epoch was chosen; higher is better."""
        return float(self.metrics["score"])


class Trainings:
    """Runs trainings that read the same and differ in some values.

    Args:
        module: the trainer.
        job: the paths that it reads, by name.
        config: the values that hold where a training names no other.
        workspace: of the stage.
    """

    def __init__(
        self, module: str, job: Mapping[str, Any], config: Mapping[str, Any], workspace: Workspace
    ) -> None:
        self.config = config
        self._module, self._job, self._workspace = module, job, workspace

    def run(self, values: Mapping[str, Any], what: str, listen: Listen = lambda event: None) -> Training:
        """Train with these values, as far as that is not done yet; `what` is shown with the progress.

        Raises:
            StageError: the training failed.
        """
        folder = self._folder(values)
        finished, output = folder / "finished.json", folder / "output"
        if not finished.exists():
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir(parents=True)
            job = {**self._job, "output": output, "scratch": folder, "config": {**self.config, **values}}
            metrics = run_child(self._module, job, what, self._workspace, listen)["metrics"]
            with whole_file(finished) as unfinished:
                unfinished.write_text(json.dumps(metrics), encoding="utf-8")
        return Training(values, json.loads(finished.read_text(encoding="utf-8")), output)

    def forget(self, values: Mapping[str, Any]) -> None:
        """Remove what a training left."""
        shutil.rmtree(self._folder(values), ignore_errors=True)

    def _folder(self, values: Mapping[str, Any]) -> Path:
        name = sha256_text(canonical({**self.config, **values}))
        return self._workspace.scratch / "trainings" / name[:32]
