"""A home that can't be used is one sentence, for every command, and one that can is closed to other users."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import home
from tasks.contract.errors import RecipeError


@pytest.fixture
def unusable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {
        f"{tmp_path}/home\n": "a line end in it",
        f"{tmp_path}/home ": "blanks around it",
        f" {tmp_path}/home": "blanks around it",
        f"{tmp_path}/what?": "which prefect and mlflow read otherwise",
        f"{tmp_path}/a%20home": "which prefect and mlflow read otherwise",
        "/proc/textmill": "no such file",
        str(tmp_path / "file"): "a file is in the way",
        str(tmp_path / "file" / "below"): "a file is in the way",
        str(tmp_path / "loop"): "loop",
        "~no-such-user/home": "home directory",
        os.fsdecode(os.fsencode(tmp_path) + b"/\xff"): "no UTF-8",
        str(tmp_path / ("n" * 300)): "too long",
    }


def test_each_is_named_with_the_way_out(unusable: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for place, reason in unusable.items():
        monkeypatch.setenv("TEXTMILL_HOME", place)
        with pytest.raises(RecipeError, match="TEXTMILL_HOME") as error:
            home.check(writes=False)
        assert reason in str(error.value)
        assert "\n" not in str(error.value)


def test_a_good_home_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "new" / "home"))
    assert home.check(writes=True) == tmp_path / "new" / "home"
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    home.check(writes=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused_to_those_who_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    monkeypatch.setattr(home.tempfile, "TemporaryFile", full)
    home.check(writes=False)
    with pytest.raises(RecipeError, match="the disk is full"):
        home.check(writes=True)


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_new_home_and_what_is_written_then_are_private(place: Path) -> None:
    assert home.make_private() == place
    (place / "runs").mkdir()
    (place / "runs" / "run.json").write_text("{}", encoding="utf-8")
    modes = [mode(path) for path in (place, place / "runs", place / "runs" / "run.json")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_home_of_an_earlier_version_is_closed(place: Path) -> None:
    (place / "mlflow").mkdir(parents=True)
    home.make_private()
    assert mode(place) == 0o700


def test_a_folder_that_holds_other_things_keeps_its_mode(place: Path) -> None:
    for folder in ("mlflow", "my-project"):
        (place / folder).mkdir(parents=True)
    place.chmod(0o775)
    home.make_private()
    assert [mode(path) for path in (place, place / "mlflow", place / "my-project")] == [0o775, 0o700, 0o755]


def test_a_folder_that_is_for_all_users_keeps_its_mode(place: Path) -> None:
    place.mkdir()
    place.chmod(0o1777)
    home.make_private()
    assert mode(place) == 0o1777
