"""Records: written in one step, read newest first, and a run whose process is gone counts as killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.record import Recorder, RunRecord, records, write
from tasks.stage import Outcome

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from flows.record import Recorder
from tasks.stage import Outcome
recorder = Recorder(Path(sys.argv[1]), "small", {}, {})
recorder.outcome(Outcome(stage="collect", state="made", key="k", digest="d"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_record_tells_what_became_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/textmill", "run", "a file.yaml"])
    recorder = Recorder(tmp_path, "small", {"name": "small"}, {"MLflow": "http://127.0.0.1:5000"})
    [running] = records(tmp_path)
    assert (running.state, running.finished_at) == ("running", None)
    assert running.command == "textmill run 'a file.yaml'"
    outcome = Outcome(stage="collect", state="failed", key="k", message="no room")
    recorder.outcome(outcome)
    recorder.finish("failed", "no room")
    [ended] = records(tmp_path)
    assert ended == recorder.record
    assert (ended.state, ended.message, ended.outcomes) == ("failed", "no room", [outcome])
    assert ended.finished_at is not None
    assert ended.seconds >= 0
    assert [path.name for path in recorder.folder.iterdir()] == ["run.json"]


def test_killed_run_is_recognised(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
    assert ended.returncode == -9
    [record] = records(tmp_path)
    assert (record.state, record.message) == ("killed", "its process ended without a word")
    assert [outcome.stage for outcome in record.outcomes] == ["collect"]


def test_newest_first_and_damaged_records_are_passed_over(tmp_path: Path) -> None:
    for day in ("20260102", "20260101", "20260103", "20260104"):
        folder = tmp_path / "runs" / f"{day}-000000-abcdef"
        folder.mkdir(parents=True)
        record = RunRecord(
            id=folder.name, recipe="small", command="", started_at="", state="completed", pid=1, created=0
        )
        write(folder, record)
    (tmp_path / "runs" / "20260104-000000-abcdef" / "run.json").write_text("{")
    assert [record.id[:8] for record in records(tmp_path)] == ["20260103", "20260102", "20260101"]
    assert list(records(tmp_path / "nowhere")) == []
