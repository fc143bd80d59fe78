"""Records: written in one step, read newest first, and a run whose process is gone counts as killed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.run_record import Recorder, RunRecord, last_artifact, records, verdict_before, write
from tasks.contract.artifact import Artifact
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store
from tests.published import publish

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from flows.run_record import Recorder
from tasks.contract.artifact import Artifact
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store
from tests.published import publish
recorder = Recorder(Path(sys.argv[1]), "small", {}, {})
recorder.outcome(StageOutcome(stage="collect", state="made", key="k", digest="d"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_record_tells_what_became_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/textmill", "run", "a file.yaml"])
    recorder = Recorder(tmp_path, "small", {"name": "small"}, {"MLflow": "http://127.0.0.1:5000"})
    [running] = records(tmp_path)
    assert (running.state, running.finished_at) == ("running", None)
    assert running.command == "textmill run 'a file.yaml'"
    outcome = StageOutcome(stage="collect", state="failed", key="k", message="no room")
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
            id=folder.name, recipe="small", command="", started_at="", state="completed", pid=1
        )
        write(folder, record)
    (tmp_path / "runs" / "20260104-000000-abcdef" / "run.json").write_text("{", encoding="utf-8")
    assert [record.id[:8] for record in records(tmp_path)] == ["20260103", "20260102", "20260101"]
    assert list(records(tmp_path / "nowhere")) == []
    written = tmp_path / "runs" / "20260103-000000-abcdef" / "run.json"
    of_another_version = json.loads(written.read_text(encoding="utf-8")) | {"created": 1.0}
    written.write_text(json.dumps(of_another_version), encoding="utf-8")
    assert len(list(records(tmp_path))) == 3


def recorded(home: Path, day: int, recipe: str, *artifacts: Artifact) -> None:
    """A run of one day of January that made these artifacts."""
    recorder = Recorder(home, recipe, {}, {})
    for artifact in artifacts:
        recorder.outcome(
            StageOutcome(stage=artifact.stage, state="made", key=artifact.key, digest=artifact.digest)
        )
    recorder.finish("completed")
    recorder.folder.rename(recorder.folder.with_name(f"202601{day:02}-000000-abcdef"))


def published(store: Store, stage: str, letter: str) -> Artifact:
    """An artifact with this letter as its content."""
    directory = store.begin(stage, letter * 64)
    (directory / "letter.txt").write_text(letter, encoding="utf-8")
    return publish(store, directory, stage, letter * 64)


def test_a_corpus_is_compared_with_the_last_other_one_that_passed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second, third = (published(store, "clean", letter) for letter in "abc")
    passed, passed_too = (published(store, "validate_clean", letter) for letter in "ab")
    assert verdict_before(store, "small", first) is None
    recorded(tmp_path, 1, "small", first, passed)
    recorded(tmp_path, 2, "other", third, passed_too)
    assert verdict_before(store, "small", first) is None
    assert verdict_before(store, "small", second) == passed
    recorded(tmp_path, 3, "small", second, passed_too)
    recorded(tmp_path, 4, "small", third)  # stopped by its checkpoint
    assert verdict_before(store, "small", second) == passed
    assert verdict_before(store, "small", third) == passed_too
    shutil.rmtree(store.path(passed_too))
    assert verdict_before(store, "small", third) == passed


def test_the_last_artifact_of_a_stage_is_one_that_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = (published(store, "clean", letter) for letter in "ab")
    recorded(tmp_path, 1, "small", first)
    recorded(tmp_path, 2, "small", second)
    assert last_artifact(store, "small", "clean") == second
    shutil.rmtree(store.path(second))
    assert last_artifact(store, "small", "clean") == first
    assert last_artifact(store, "small", "collect") is None


def test_a_run_of_the_original_does_not_go_on_in_a_copy(tmp_path: Path) -> None:
    Recorder(tmp_path / "home", "a", {}, {})
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    assert [record.state for record in records(tmp_path / "home")] == ["running"]
    assert [record.state for record in records(tmp_path / "copy")] == ["killed"]
