"""Two homes that register one model at one time, and kills between the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.contract.run import Run
from tasks.register import still_registered
from tests.release_artifacts import Release
from tests.tasks.registering import start

STEPS = ("create_logged_model", "log_model_artifacts", "create_model_version", "set_registered_model_alias")
KILLED = -9


def aliases(mlflow: Any, model: str) -> dict[int, list[str]]:
    """The versions that there are, with their aliases."""
    found = [
        mlflow.get_model_version(model, v.version) for v in mlflow.search_model_versions(f"name='{model}'")
    ]
    return {int(version.version): list(version.aliases) for version in found}


def recorded(home: Path, model: str) -> str:
    """The version that a home knows of, and finds when it is asked to make it again."""
    release = Release(home, model)
    (manifest,) = release.made_by("register")
    assert still_registered(manifest, release.config, Run(home))
    return str(manifest.external["version"])


def said(home: Path) -> str:
    """What the registrations of a home have said."""
    return (home / "said").read_text(encoding="utf-8")


def ended(*processes: Any) -> list[int | None]:
    """Wait for processes; how each of them ended."""
    for process in processes:
        process.join(600)
    return [process.exitcode for process in processes]


def test_two_homes_at_one_time_end_with_one_version(mlflow: Any, model: str, tmp_path: Path) -> None:
    homes = [tmp_path / name for name in "ab"]
    assert ended(*[start(home, model, "create_model_version", meet=True) for home in homes]) == [0, 0]
    assert aliases(mlflow, model) == {1: ["challenger"]}
    for home in homes:
        assert f"{model} version 1, alias challenger" in said(home)
        assert recorded(home, model) == "1"


def test_kills_between_the_steps_are_finished_by_the_next(mlflow: Any, model: str, tmp_path: Path) -> None:
    home = tmp_path / "a"
    for step in STEPS:
        assert ended(start(home, model, step, kill=True)) == [KILLED]
        assert "alias challenger" not in said(home)
    assert ended(start(home, model)) == [0]
    assert f"{model} version 1, alias challenger" in said(home)
    assert aliases(mlflow, model) == {1: ["challenger"]}
    assert recorded(home, model) == "1"


def test_a_second_version_that_a_kill_left_is_removed(mlflow: Any, model: str, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    step = "create_model_version"
    both = start(a, model, step, meet=True), start(b, model, step, meet=True, kill=True)
    assert ended(*both) == [0, KILLED]
    assert ended(start(b, model)) == [0]
    assert f"{model} version 1, alias challenger" in said(b)
    assert aliases(mlflow, model) == {1: ["challenger"]}
    assert recorded(a, model) == recorded(b, model) == "1"
