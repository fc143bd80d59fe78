"""A home that can't be used is one sentence, for every command, and nothing stays of the trial."""

import errno
import os
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
