"""Two homes that register one model at one time, and kills between the steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.topics import registry

# The stage alone, without Prefect. STEP is the client's method that is held up or is the last to be called.
REGISTER = """
import os, signal, sys, time
from pathlib import Path
from mlflow import MlflowClient
recipe, model, step, what = sys.argv[1:]
deadline = time.monotonic() + 300
own = getattr(MlflowClient, step) if step else None

def replaced(*arguments, **named):
    if what.startswith("meet"):  # both have found no version, and now both make one
        home = Path(os.environ["TEXTMILL_HOME"])
        (home / "here").touch()
        while len(list(home.parent.glob("*/here"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    found = own(*arguments, **named)
    if what.endswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    return found

if step:
    setattr(MlflowClient, step, replaced)
from flows.cli import main
sys.argv = ["textmill", "run", recipe, "--only", "register", "--set", f"register.model={model}"]
main()
"""


STEPS = ("create_logged_model", "log_model_artifacts", "create_model_version", "set_registered_model_alias")


class Homes:
    """Homes that have what `first` made but its release, and share one MLflow."""

    def __init__(self, mill: Any, recipe: Path, folder: Path, model: str) -> None:
        self.mill, self.recipe, self.folder, self.model = mill, recipe, folder, model

    def start(self, name: str, step: str = "", what: str = "") -> subprocess.Popen[str]:
        home = self.folder / name
        if not home.exists():
            release = shutil.ignore_patterns("register", "export", "deploy")
            shutil.copytree(self.mill.home / "artifacts", home / "artifacts", ignore=release)
        ports = ("TEXTMILL_MLFLOW_PORT", "TEXTMILL_PREFECT_PORT")
        inherited = {k: v for k, v in self.mill.environment.items() if k not in ports}
        user, password = self.mill.credentials
        environment = inherited | {
            "TEXTMILL_HOME": str(home),
            "MLFLOW_TRACKING_URI": self.mill.url("MLFLOW"),
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
        }
        return subprocess.Popen(
            [sys.executable, "-c", REGISTER, str(self.recipe), self.model, step, what],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def register(self, name: str, step: str = "", what: str = "") -> str:
        process = self.start(name, step, what)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == (-9 if what.endswith("kill") else 0), output
        return output

    def versions(self) -> dict[int, list[str]]:
        found = registry(self.mill, "model-versions/search", filter=f"name='{self.model}'")
        model = registry(self.mill, "registered-models/get", name=self.model)["registered_model"]
        aliases = {int(a["version"]): a["alias"] for a in model.get("aliases", [])}
        return {
            int(v["version"]): [alias for n, alias in aliases.items() if n == int(v["version"])]
            for v in found.get("model_versions", [])
        }

    def recorded(self, name: str) -> dict[str, Any]:
        (manifest,) = (self.folder / name / "artifacts" / "register").glob("*/manifest.json")
        external: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["external"]
        return external


@pytest.fixture
def homes(mill: Any, recipe: Path, first: dict[str, str], tmp_path: Path, request: Any) -> Homes:
    """For a registered model of the test's own."""
    return Homes(mill, recipe, tmp_path, f"raced-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}")


def test_two_homes_at_one_time_end_with_one_version(homes: Homes) -> None:
    both = [homes.start(name, "create_model_version", "meet") for name in ("a", "b")]
    outputs = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    assert homes.versions() == {1: ["challenger"]}
    for name, output in zip("ab", outputs, strict=True):
        assert f"{homes.model} version 1, alias challenger" in output
        assert homes.recorded(name)["version"] == "1"
    assert "cached" in homes.register("a")


def test_kills_between_the_steps_are_finished_by_the_next(homes: Homes) -> None:
    for step in STEPS:
        assert "alias challenger" not in homes.register("a", step, "kill")
    assert f"{homes.model} version 1, alias challenger" in homes.register("a")
    assert homes.versions() == {1: ["challenger"]}
    assert homes.recorded("a")["version"] == "1"


def test_a_second_version_that_a_kill_left_is_removed(homes: Homes) -> None:
    both = [
        homes.start("a", "create_model_version", "meet"),
        homes.start("b", "create_model_version", "meet and kill"),
    ]
    outputs = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, -9], "\n".join(outputs)
    assert f"{homes.model} version 1, alias challenger" in homes.register("b")
    assert homes.versions() == {1: ["challenger"]}
    assert homes.recorded("a")["version"] == homes.recorded("b")["version"] == "1"
