"""The champion is asked without MLflow's client, and is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking.quick_champion import champions
from tasks.tracking.registry import CHAMPION, by_alias, move_alias
from tests.release_artifacts import Release


def test_it_is_what_the_client_says(mlflow: Any, model: str, tmp_path: Path) -> None:
    Release(tmp_path, model).register()
    assert champions([model, "nobody"]) == {model: None, "nobody": None}
    move_alias(mlflow, model, CHAMPION, 1)
    found = by_alias(mlflow, model, CHAMPION)
    assert found
    assert champions([model]) == {model: found.version}


def test_what_a_server_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert champions(["any"]) == {}


def test_it_loads_no_client() -> None:
    program = """
import os, sys
os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
from tasks.tracking.quick_champion import champions
champions(["any"])
print({"mlflow", "pandas", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout == "set()\n"
