"""How a training process talks to the process that started it.

In: one JSON file, the job. Out: one JSON object per line on stdout, and nothing else there;
whatever libraries print goes to stderr. SIGTERM asks for a checkpoint and exit code 143.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from model_code.config.strict import Config
from model_code.errors import TrainingError


@dataclass(frozen=True)
class Job:
    """Paths by name, and the raw config."""

    paths: dict[str, Path]
    values: dict[str, Any]


class Reporter:
    """Events for the parent, and what the parent asked for in return.

    Of several ranks the first one speaks; of errors each does, since any of them may be the only one.
    """

    def __init__(self, stream: TextIO, is_main: bool = True) -> None:
        self._stream, self._is_main = stream, is_main
        self.stop_requested = False

    def event(self, kind: str, **values: Any) -> None:
        """Write one event as a line of JSON."""
        if not (self._is_main or kind == "error"):
            return
        print(json.dumps({"event": kind, **values}), file=self._stream, flush=True)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler: note the wish; the loop stops after the step that is under way."""
        self.stop_requested = True


def main(train: Callable[[Job, Reporter], dict[str, Any]], paths: set[str]) -> None:
    """Run `train` on the job file named on the command line; `paths` are the names it must hold."""
    # torchrun numbers the processes that it starts.
    reporter = Reporter(
        os.fdopen(os.dup(1), "w", encoding="utf-8"), is_main=os.environ.get("RANK", "0") == "0"
    )
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, reporter.request_stop)
    try:
        metrics = train(_read_job(sys.argv[1:], paths), reporter)
    except TrainingError as error:
        reporter.event("error", message=str(error))
        raise SystemExit(1) from None
    reporter.event("done", metrics=metrics)


def _read_job(arguments: list[str], required: set[str]) -> Job:
    if len(arguments) != 1:
        raise TrainingError(f"expected one argument, a job file, got {len(arguments)}")
    try:
        raw = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        paths = {name: Path(value) for name, value in raw.items() if isinstance(value, str)}
        values = {**raw["config"], **{name: raw[name] for name in raw.keys() - paths.keys() - {"config"}}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{arguments[0]}: not a job file ({error!r})") from error
    if missing := sorted(required - paths.keys()):
        raise TrainingError(f"{arguments[0]}: the job names no {', '.join(missing)}; add the paths")
    return Job(paths, values)


def fingerprint(config: Config, *data: str) -> str:
    """Name a run by what counts of its config, and by the digests of what it reads."""
    return hashlib.sha256(json.dumps([config.what_counts(), data], sort_keys=True).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write one value, sorted and indented, so that equal values are equal bytes."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
