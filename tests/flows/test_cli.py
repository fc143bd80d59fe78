"""The command as a user types it, as far as it needs no server: exit codes, messages, plans, clearing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flows.cli import _complain
from flows.run_record import Recorder
from model_code.config.strict import Config
from tasks.contract.run import Run, StageOutcome
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

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
        (("run", "python-docs", "--until", "fine_tun"), "did you mean 'fine_tune'?"),
        (("run", "python-docs", "--from", "deploy", "--until", "clean"), "--from deploy comes after --until"),
        (("plan", "python-docs", "--set", "name=x-candidate"), "this ending is kept for the parts of an"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("deploy", "router@"), "error: router@: give NAME, NAME@ALIAS or NAME@VERSION"),
        (("deploy", "../router@3"), "'../router' is no name of an endpoint: use letters, digits"),
        (("rollback", "router@3"), "'router@3' is no name of an endpoint: use letters, digits"),
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


def test_where_nothing_is_deployed_nothing_is_rolled_back_or_started(home: Path) -> None:
    said = "error: there is no endpoint 'router'; nothing is deployed here yet\n"
    assert textmill("rollback", "router") == (1, "", said)
    assert not (home / "servers").exists()


def test_status_asks_and_ends_with_1_when_something_does_not_answer(home: Path) -> None:
    ended = textmill("status")
    assert ended.code == 1
    assert ended.output.count("stopped") == 4
    assert ended.error == (
        "error: no answer: prefect, mlflow, triton; `textmill up` starts what is missing\n"
    )


def test_plan_of_an_empty_home_makes_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "one.txt").write_text("A text.", encoding="utf-8")
    recipe = {
        "name": "small",
        "collect": {
            "sources": [{"kind": "files", "path": str(tmp_path / "corpus"), "meta_fields": ["topic"]}]
        },
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
    refused = textmill("plan", str(tmp_path / "small.yaml"), "--set", "evaluate.at_least={f1: 1}")
    assert (refused.code, refused.output) == (2, "")
    assert "the task classification has no metric 'f1'" in refused.error
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
    live.outcome(StageOutcome(stage="number", state="made", key=number.key([], NumberConfig(number=6))))
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
    assert listed[2].split()[2:] == ["refused", "0", "macro", "F1", "too", "low", "and", "more"]


def test_runs_fit_a_terminal_of_80_columns(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from flows import command

    recorder = Recorder(home, "a-recipe-with-a-long-name", {}, {})
    recorder.finish("failed", "collect: " + "a word and another one " * 20)
    monkeypatch.setattr(
        command, "console", Console(force_terminal=True, color_system=None, highlight=False, width=80)
    )
    command.list_runs(None, 5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # the header, the run, and two lines of its message
    assert max(map(len, lines)) <= 80
    assert lines[3].endswith(" …")


def test_questions_that_nothing_can_answer(home: Path) -> None:
    blank = textmill("ask", "what is this", " \n")
    assert (blank.code, blank.error) == (2, "error: question 2 of 2 is empty; ask something\n")
    unknown = textmill("ask", "--model", "nobody", "what is this")
    assert unknown.code == 1
    assert unknown.error.startswith("error: there is no endpoint 'nobody'; nothing is deployed here yet")


def test_python_runs_the_package_as_the_command(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows", "runs"], capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (0, "no runs yet\n")


WRONG = [
    ({"evaluate": {"at_least": {"acuracy": 0.5}}}, "has no metric 'acuracy'"),
    ({"examples": {"columns": {"lable": "topic"}}}, "examples.columns names 'lable', which is no field"),
    ({"examples": {"columns": {"label": "topics"}}}, "no source gives its documents that; they have"),
    ({"examples": {"only": ["a"]}}, "examples.only names one label, 'a'"),
    ({"examples": {"min_words": {"text": 9}, "max_words": {"text": 3}}}, "every document would be left out"),
    ({"tokenize": {"group_by": "module"}}, "tokenize.group_by: documents of the source 'files' have no 'mod"),
    ({"tokenize": {"pretrained": "nowhere"}}, "pretrained: 'nowhere' is no file or folder here"),
    ({"clean": {"engine": "ray"}}, "clean.engine: ray is not installed here"),
    ({"pretrain": {"devices": 3}}, "batch_size 32 can't be shared evenly by 3 devices"),
    ({"pretrain": {"start_from": "nowhere"}}, "start_from: 'nowhere' is neither a folder nor a model of the"),
    ({"fine_tune": {"distill": {"teacher": "nowhere"}}}, "distill.teacher nowhere: no task.json"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[said[:30] for _, said in WRONG])
def test_what_would_fail_later_is_refused_by_a_plan(
    wrong: dict[str, Any], said: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import checks_before_a_run, recipe
    from tasks.contract.errors import RecipeError

    monkeypatch.setattr(checks_before_a_run, "find_spec", lambda name: None)
    source = {"kind": "files", "path": "corpus", "meta_fields": ["topic"]}
    sections: dict[str, Any] = {
        "name": "small",
        "collect": {"sources": [source]},
        "examples": {"kind": "documents", "task": "classification", "columns": {"label": "topic"}},
    }
    fine = recipe.Recipe.model_validate(sections)
    checks_before_a_run.check_recipe(fine)
    for section, values in wrong.items():
        sections[section] = sections.get(section, {}) | values
    with pytest.raises(RecipeError, match=re.escape(said)):
        checks_before_a_run.check_recipe(recipe.Recipe.model_validate(sections))


def test_ray_from_a_path_with_blanks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import checks_before_a_run, recipe
    from tasks.contract.errors import RecipeError

    monkeypatch.setattr(checks_before_a_run, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "executable", "/home/me/my mill/.venv/bin/python")
    sections = {"name": "small", "collect": {"sources": [{"kind": "packages"}]}, "clean": {"engine": "ray"}}
    with pytest.raises(RecipeError, match=r"/home/me/my mill/\.venv/bin/python, whose path has blanks"):
        checks_before_a_run.check_recipe(recipe.Recipe.model_validate(sections))


def test_an_address_in_an_error_is_shown_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    _complain("the Prefect server at http://mill:secret-word@host:4200/api went away")
    said = capsys.readouterr().err
    assert "secret-word" not in said
    assert "host:4200/api went away" in said
