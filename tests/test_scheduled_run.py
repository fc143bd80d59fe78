"""What prefect.yaml deploys is run by a worker of Prefect, as docs/operations.md says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PREFECT = Path(sys.executable).with_name("prefect")
POOL, DEPLOYMENT = "textmill", "lifecycle/python-docs"


def test_a_worker_runs_the_deployment(mill: Any, recipe: Path, first: dict[str, str], tmp_path: Path) -> None:
    exported = [line.removeprefix("export ").partition("=") for line in mill("env").splitlines()]
    environment = mill.environment | {name: shlex.split(value)[0] for name, _, value in exported}

    def prefect(*arguments: str) -> str:
        command = [PREFECT, "--no-prompt", *arguments]
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    deployed["deployments"][0]["parameters"]["recipe"] = str(recipe)
    described = tmp_path / "prefect.yaml"
    described.write_text(yaml.safe_dump(deployed), encoding="utf-8")
    before = len(mill("runs").splitlines())
    prefect("work-pool", "create", POOL, "--type", "process")
    prefect("deploy", "--all", "--prefect-file", os.fspath(described))
    prefect("deployment", "run", DEPLOYMENT)
    prefect("worker", "start", "--pool", POOL, "--run-once")

    ended = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}  # the nights to come
    query = {"deployments": {"name": {"any_": [DEPLOYMENT.partition("/")[2]]}}, "flow_runs": ended}
    (run,) = mill.client("PREFECT").post("/api/flow_runs/filter", json=query).json()
    assert (run["state_type"], run["name"]) == ("COMPLETED", "topics")
    assert mill.last_run()["state"] == "completed"
    assert set(mill.outcomes("state").values()) == {"cached"}
    assert mill.outcomes("digest") == first
    assert len(mill("runs").splitlines()) == before + 1
