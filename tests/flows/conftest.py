"""A recipe in a file, for the tests of what is read from one."""

from pathlib import Path

import pytest

from tests.flows.small_recipe import SMALL


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path
