"""The command as a user types it, as far as it needs no server: exit codes, messages, plans, clearing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.record import Recorder
from tasks.stage import Config, Outcome, Run, Workspace, stage

COMMAND = Path(sys.executable).with_name("textmill")


class Ended(NamedTuple):
    """How the command ended, and what it said."""

    code: int
    output: str
    error: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def textmill(*arguments: str) -> Ended:
    done = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, encoding="utf-8"
    )
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def test_help_lists_the_commands_and_imports_nothing_heavy(home: Path) -> None:
    ended = textmill("--help")
    assert ended.code == 0
    assert all(re.search(rf"\b{verb}\b", ended.output) for verb in ("run", "plan", "ask", "up", "down", "gc"))
    program = "import sys, flows.cli; print({'prefect', 'mlflow', 'torch', 'pydantic'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout == "set()\n"
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "nothing"), "there is no recipe 'nothing'"),
        (("run", "python-docs", "--set", "pretrain.stepz=5"), "did you mean 'steps'?"),
        (("run", "python-docs", "--only", "bake"), "there is no stage 'bake'; the stages are collect, va"),
        (("run", "python-docs", "--only", "clean", "--from", "collect"), "--only runs one stage"),
        (("frobnicate",), "No such command 'frobnicate'"),
    ],
)
def test_usage_and_recipe_errors_end_with_2(home: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = textmill(*arguments)
    assert ended.code == 2
    assert said in ended.error
    assert ended.output == ""
    assert not list(home.glob("runs/*"))


def test_nothing_deployed_and_no_runs(home: Path) -> None:
    asked = textmill("ask", "what is this")
    assert (asked.code, asked.output) == (1, "")
    assert asked.error.startswith("error: nothing is deployed here yet; run a recipe first")
    assert textmill("runs") == (0, "no runs yet\n", "")
    assert textmill("gc") == (0, "0 artifacts removed, 0.0 MB freed\n", "")


def test_status_asks_and_ends_with_1_when_something_does_not_answer(home: Path) -> None:
    ended = textmill("status")
    assert ended.code == 1
    assert ended.output.count("stopped") == 3
    assert ended.error == (
        "error: no answer: prefect, mlflow, triton; `textmill up` starts what is missing\n"
    )


def test_plan_of_an_empty_home_makes_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "one.txt").write_text("A text.", encoding="utf-8")
    recipe = {
        "name": "small",
        "collect": {"sources": [{"kind": "files", "path": str(tmp_path / "corpus")}]},
        "examples": {"kind": "documents", "task": "classification", "columns": {"label": "topic"}},
    }
    (tmp_path / "small.yaml").write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    planned = textmill("plan", str(tmp_path / "small.yaml"))
    assert planned.code == 0
    lines = [line.split(maxsplit=1) for line in planned.output.splitlines()]
    stages = (
        "collect validate_raw clean validate_clean tokenize validate_tokens "
        "examples pretrain fine_tune evaluate register export deploy"
    )
    assert " ".join(line[0] for line in lines[:13]) == stages
    assert {line[1].strip() for line in lines[:13]} == {"would run"}
    assert not (home / "artifacts").exists()


class NumberConfig(Config):
    number: int


@stage()
def number(config: NumberConfig, workspace: Workspace) -> None:
    """Write a number."""
    (workspace.directory / "number.txt").write_text(str(config.number), encoding="utf-8")


def finished_run(home: Path, recipe: str, *numbers: int) -> None:
    """A run that made these numbers, started a second after the one before it."""
    recorder = Recorder(home, recipe, {}, {})
    run = Run(home, record=recorder.outcome)
    for value in numbers:
        number(NumberConfig(number=value), run)
    recorder.finish("completed")
    place = home / "runs"
    recorder.folder.rename(place / f"20260101-{len(list(place.iterdir())):06}-abcdef")


def test_gc_keeps_what_the_last_runs_refer_to(home: Path) -> None:
    finished_run(home, "a", 1, 2)
    finished_run(home, "b", 3)
    finished_run(home, "a", 2, 4)
    finished_run(home, "a", 5)
    store = Run(home).store
    made_now = store.begin("number", "f" * 64)
    killed = store.begin("number", "e" * 64)
    live = Recorder(home, "c", {}, {})  # this process runs, so its run does
    live.outcome(Outcome(stage="number", state="made", key=number.key([], NumberConfig(number=6))))
    number.fn(NumberConfig(number=6), Run(home))

    def left() -> list[int]:
        return sorted(
            int(path.read_text(encoding="utf-8")) for path in home.glob("artifacts/number/[!.]*/number.txt")
        )

    assert left() == [1, 2, 3, 4, 5, 6]
    with store.lock("number", "f" * 64):
        assert textmill("gc", "--keep", "2").output.startswith("2 artifacts removed")
    assert left() == [2, 3, 4, 5, 6]
    assert (made_now.exists(), killed.exists()) == (True, False)
    assert textmill("gc", "--keep", "0").code == 0
    assert left() == [6]


def test_runs_are_listed_newest_first(home: Path) -> None:
    for recipe in ("a", "b"):
        recorder = Recorder(home, recipe, {}, {})
        recorder.finish("refused" if recipe == "a" else "completed", "macro F1 too low\nand more")
        recorder.folder.rename(home / "runs" / f"20260101-000000-{recipe}")
    listed = textmill("runs").output.splitlines()
    assert [line.split()[1] for line in listed] == ["recipe", "b", "a"]
    assert listed[2].split()[2:] == ["refused", "0", "macro", "F1", "too", "low"]
