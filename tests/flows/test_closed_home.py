"""A home is closed to other users, and what is not ours keeps its mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import closed_home


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_new_home_and_what_is_written_then_are_private(home: Path) -> None:
    assert closed_home.close() == home
    (home / "runs").mkdir()
    (home / "runs" / "run.json").write_text("{}", encoding="utf-8")
    modes = [mode(path) for path in (home, home / "runs", home / "runs" / "run.json")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_home_of_an_earlier_version_is_closed(home: Path) -> None:
    (home / "mlflow").mkdir(parents=True)
    closed_home.close()
    assert mode(home) == 0o700


def test_a_folder_that_holds_other_things_keeps_its_mode(home: Path) -> None:
    for folder in ("mlflow", "my-project"):
        (home / folder).mkdir(parents=True)
    home.chmod(0o775)
    closed_home.close()
    assert [mode(path) for path in (home, home / "mlflow", home / "my-project")] == [0o775, 0o700, 0o755]


def test_a_folder_that_is_for_all_users_keeps_its_mode(home: Path) -> None:
    home.mkdir()
    home.chmod(0o1777)
    closed_home.close()
    assert mode(home) == 0o1777
