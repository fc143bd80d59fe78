"""Killed anywhere, a run is finished by the next one. A file of its own: it takes as long as the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from tests.topics import STAGES, logged_runs, served_version, versions

# What is there, below the home, once a stage is in the middle of its work.
AT_WORK = {stage: f"artifacts/{stage}/.*.tmp" for stage in STAGES} | {
    # Done in a tenth of a second: what stays there is seen also on a busy machine.
    "collect": "locks/collect-*.lock",
    "examples": "locks/examples-*.lock",
    "tokenize": "artifacts/tokenize/.*.tmp/tokenizer",
    "pretrain": "scratch/pretrain-*/step-*",
    "fine_tune": "scratch/fine_tune-*/job.json",
    "evaluate": "artifacts/evaluate/.*.tmp/evaluation.json",
    "register": "mlflow/artifacts/*/models/*/artifacts/MLmodel",
    "export": "artifacts/export/.*.tmp/onnx/model.onnx",
    "deploy": "triton/models/topics-candidate/config.pbtxt",
}
# One that only writes an artifact, one with checkpoints, one that MLflow and one that Triton knows of.
KINDS = ("clean", "pretrain", "register", "deploy")


@pytest.mark.parametrize(
    "stages", [KINDS, pytest.param(STAGES, marks=pytest.mark.smoke)], ids=["kinds", "all"]
)
def test_killed_inside_any_stage_a_run_ends_like_an_undisturbed_one(
    stages: Collection[str],
    undisturbed: Callable[[], dict[str, str]],
    recipe: Path,
    open_mill: Callable[..., Any],
    tmp_path: Path,
) -> None:
    with open_mill(tmp_path / "home") as mill:
        mill("up")
        for stage in stages:
            mill.kill_when(AT_WORK[stage], "run", recipe)
        mill("run", recipe)
        assert mill.outcomes("digest") == undisturbed()
        assert versions(mill) == {1: ["challenger", "champion"]}
        assert served_version(mill) == 1
        assert [(run["status"], run["textmill.gate"]) for run in logged_runs(mill)] == [
            ("FINISHED", "passed")
        ]
        assert [run["status"] for run in logged_runs(mill, "pretrain")] == ["FINISHED"]
        assert mill("runs").count("killed") == len(stages)
        asked = mill.client("PREFECT").post("/api/flow_runs/filter", json={})
        assert {run["state_type"] for run in asked.json()} == {"COMPLETED", "CRASHED"}
        assert not list((mill.home / "artifacts").glob("*/.*"))
