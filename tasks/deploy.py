"""Stage: serve the new version on Triton, once it has answered like the registered model.

The version is loaded beside the live one and questioned first. Then the endpoint is switched and the alias
`champion` follows; a run that was killed between the two finds the difference and finishes the move.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from corpus.examples.written_examples import read_split
from deploy import live, triton_server
from model_code.config.strict import OUTSIDE_KEY, Config
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.errors import ServerError
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.deployment.asked_examples import METRIC_TOLERANCE, AskedExamples
from tasks.deployment.deployed import (
    CANARIES,
    SERVED,
    TOLERANCE,
    Canaries,
    answers_of,
    apart,
    difference_from_deployed,
    disagreement,
    write_down,
)
from tasks.deployment.switch import Judge, Judgement, switch
from tasks.register import registered_version
from tasks.tracking.registry import CHAMPION, by_alias, client, move_alias, reachable
from tasks.tracking.version_files import loaded

TRITON_HOME = "triton"


class DeployConfig(Config):
    """How the new version is tried before it goes live."""

    compare: int = Field(
        500, ge=1, le=1_000_000, description="Held-out examples on which endpoint and model must agree."
    )
    keep: Annotated[int, OUTSIDE_KEY] = Field(
        live.KEEP, ge=2, le=100, description="Versions on disk: the live one, the one before, and older ones."
    )
    tolerance: float = Field(
        TOLERANCE, gt=0, le=0.1, description="Largest difference of any number in an answer."
    )


def still_live(manifest: Manifest, config: DeployConfig, run: Run) -> bool:
    """Whether the endpoint answers from this version as it was judged, and `champion` points at it."""
    server = triton_server.find(run.store.home / TRITON_HOME)
    if server is None or not reachable():
        return False
    model, version = manifest.external["model"], int(manifest.external["version"])
    champion = by_alias(client(), model, CHAMPION)
    if champion is None or champion.version != version or SERVED not in manifest.files:
        return False
    return difference_from_deployed(manifest, server, run.store) is None


@stage(runs=("deploy.",), is_current=still_live)
def deploy(
    examples: Artifact, registered: Artifact, exported: Artifact, config: DeployConfig, workspace: Workspace
) -> None:
    """Move endpoint and alias to the version; write what was compared, and what is served (`deployed.py`).

    Raises:
        ParityError: the endpoint answers differently from the registered model; the old version goes on.
        StageError: Triton refused the version; the old one goes on.
        ServerError: Triton or MLflow does not answer.
    """
    to_deploy = registered_version(registered, workspace)
    name, version = to_deploy.model, to_deploy.version
    server = _running_server(workspace.store.home / TRITON_HOME)
    mlflow = client()
    onnx = workspace.path(exported) / "onnx"
    test = read_split(workspace.path(examples), "test")[: config.compare]
    with loaded(to_deploy, workspace.store) as model:
        asked = AskedExamples(test, onnx, model.unwrap_python_model())
    asked.tell(workspace)
    with workspace.store.lock("endpoint", name):
        comparison = switch(
            to_deploy, onnx, _judge(server, asked, config), server, workspace.store, config.keep
        )
        move_alias(mlflow, name, CHAMPION, version)
    endpoint = {"model": name, "version": version, "onnx": exported.digest}
    (workspace.directory / "endpoint.json").write_text(
        json.dumps(endpoint, indent=2) + "\n", encoding="utf-8"
    )
    # Triton merges requests as they come, so the last digits of the comparison differ from run to run.
    # A probability differs in its last digits from machine to machine, compiled code from Python to Python.
    workspace.volatile |= {"deployment.json", CANARIES, SERVED}
    write_down(workspace.directory, server, name, version, Canaries(asked.questions, asked.expected))
    compared = {"model": name, "version": version, **comparison}
    (workspace.directory / "deployment.json").write_text(
        json.dumps(compared, indent=2) + "\n", encoding="utf-8"
    )
    url = f"{server.url}/v2/models/{name}"
    workspace.external |= {"model": name, "version": str(version), "url": url}
    workspace.counts |= {"compared questions": comparison["compared"]}
    workspace.metrics |= {"max abs difference": comparison["max_abs_difference"]}
    workspace.metrics |= {f"served {comparison['metric']}": comparison["served"]}
    workspace.say(
        f"{name} version {version} answers at {server.url}, as the registered model does to "
        f"{comparison['compared']} questions (largest difference {comparison['max_abs_difference']:.1e}, "
        f"{comparison['metric']} {comparison['served']:.3f} through the endpoint); alias {CHAMPION} moved"
    )


def _running_server(home: Path) -> triton_server.TritonServer:
    server = triton_server.find(home)
    if server is None:
        raise ServerError("deploy: no Triton is running here; start it with `textmill up`")
    return server


def _judge(server: triton_server.TritonServer, asked: AskedExamples, config: DeployConfig) -> Judge:
    """Compares an endpoint's answers with those of the registered model, and the metric of both."""

    def judge(endpoint: str) -> Judgement:
        answers = [answer.content for answer in answers_of(endpoint, server, asked.questions)]
        metric = {"metric": asked.metric, "served": asked.served(answers), "registered": asked.registered}
        figures = {**apart(asked.expected, answers), **metric}
        return Judgement(figures, _fault(figures, config))

    return judge


def _fault(comparison: dict[str, Any], config: DeployConfig) -> str | None:
    if found := disagreement(comparison, config.tolerance):
        return found
    if not abs(comparison["served"] - comparison["registered"]) <= METRIC_TOLERANCE:
        return (
            f"has {comparison['metric']} {comparison['served']:.4f} on the test examples, and the registered "
            f"model {comparison['registered']:.4f}"
        )
    return None
