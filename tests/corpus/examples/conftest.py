from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes name files from the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
