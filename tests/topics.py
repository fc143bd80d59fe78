"""What there is of the recipe `topics` once it has run, and what its servers say."""

from __future__ import annotations

import json
from typing import Any

import psutil

from flows.stages import STAGES as ALL_STAGES

STAGES = tuple(stage for stage in ALL_STAGES if stage != "index")  # of the recipe: nothing is searched


def registry(mill: Any, path: str, **parameters: str) -> Any:
    """What MLflow's REST API answers."""
    found = mill.client("MLFLOW").get(f"/api/2.0/mlflow/{path}", params=parameters)
    return found.raise_for_status().json()


def versions(mill: Any) -> dict[int, list[str]]:
    """The registered versions of the model, with their aliases."""
    model = registry(mill, "registered-models/get", name="topics")["registered_model"]
    found = registry(mill, "model-versions/search", filter="name='topics'").get("model_versions", [])
    aliases = {
        int(v["version"]): [a["alias"] for a in model.get("aliases", []) if a["version"] == v["version"]]
        for v in found
    }
    return dict(sorted(aliases.items()))


def served_version(mill: Any, text: str = "who watered the roses") -> int:
    """The version that answers a question."""
    return int(json.loads(mill("ask", text))["version"])


def logged_runs(mill: Any, name: str = "run") -> list[dict[str, Any]]:
    """The runs in MLflow whose names begin so: id, status and tags."""
    experiment = registry(mill, "experiments/get-by-name", experiment_name="topics")["experiment"]
    query = {"experiment_ids": [experiment["experiment_id"]]}
    found = mill.client("MLFLOW").post("/api/2.0/mlflow/runs/search", json=query).json()
    return [
        {"id": run["info"]["run_id"], "status": run["info"]["status"]}
        | {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        for run in found.get("runs", [])
        if run["info"]["run_name"].startswith(f"{name}-")
    ]


def kill_stub(mill: Any, model: str) -> None:
    """Kill the process behind a model."""
    record = json.loads((mill.home / "triton" / "server.json").read_text(encoding="utf-8"))
    for process in psutil.Process(record["pid"]).children():
        if f"/{model}/" in " ".join(process.cmdline()):
            process.kill()
