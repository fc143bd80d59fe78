"""Stage 12: serve the new version on Triton, once it has answered like the registered model.

The version is loaded beside the live one and questioned first. Then the endpoint is switched and the alias
`champion` follows; a run that was killed between the two finds the difference and finishes the move.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from deploy import client as triton
from deploy import live, repository, triton_server
from deploy.errors import TritonError
from tasks.artifact import Artifact, Manifest
from tasks.errors import ParityError, ServerError
from tasks.labelled.artifact import read_split
from tasks.register import registered_version
from tasks.registry import CHAMPION, by_alias, client, reachable
from tasks.stage import Config, Run, Workspace, stage
from tasks.version_files import loaded

TRITON_HOME = "triton"


class DeployConfig(Config):
    """How the new version is tried before it goes live."""

    compare: int = Field(
        200, ge=1, le=1_000_000, description="Held-out texts on which endpoint and model must agree."
    )
    tolerance: float = Field(1e-3, gt=0, le=0.1, description="Largest difference of any probability.")


def still_live(manifest: Manifest, config: DeployConfig, run: Run) -> bool:
    """Whether the endpoint answers from this version and the alias `champion` points at it."""
    server = triton_server.find(run.store.home / TRITON_HOME)
    if server is None or not reachable():
        return False
    model, version = manifest.external["model"], int(manifest.external["version"])
    champion = by_alias(client(), model, CHAMPION)
    served = triton.ready_version(model, http_port=server.http_port)
    return champion is not None and champion.version == version == served


@stage(runs=("deploy.",), holds=still_live)
def deploy(
    examples: Artifact, registered: Artifact, exported: Artifact, config: DeployConfig, workspace: Workspace
) -> None:
    """Move endpoint and alias to the version; write `endpoint.json` and `deployment.json` (the comparison).

    Raises:
        ParityError: the endpoint answers differently from the registered model; the old version goes on.
        StageError: Triton refused the version; the old one goes on.
        ServerError: Triton or MLflow does not answer.
    """
    to_deploy = registered_version(registered, workspace)
    name, version = to_deploy.model, to_deploy.version
    server = _running_server(workspace.store.home / TRITON_HOME)
    mlflow = client()
    test = read_split(workspace.path(examples), "test")
    texts = [example["text"] for example in test[: config.compare]]
    with loaded(to_deploy, workspace.store) as model:
        expected = list(model.predict(list(texts))["probabilities"])
    with workspace.store.lock("endpoint", name):
        comparison = _go_live(
            server, name, version, workspace.path(exported) / "onnx", texts, expected, config
        )
        mlflow.set_registered_model_alias(name, CHAMPION, str(version))
    endpoint = {"model": name, "version": version, "onnx": exported.digest}
    (workspace.directory / "endpoint.json").write_text(
        json.dumps(endpoint, indent=2) + "\n", encoding="utf-8"
    )
    # Triton merges requests as they come, so the last digits of the comparison differ from run to run.
    workspace.volatile.add("deployment.json")
    deployment = {"model": name, "version": version, **comparison}
    (workspace.directory / "deployment.json").write_text(
        json.dumps(deployment, indent=2) + "\n", encoding="utf-8"
    )
    url = f"{server.url}/v2/models/{name}"
    workspace.external |= {"model": name, "version": str(version), "url": url}
    workspace.counts |= {"compared texts": len(texts)}
    workspace.metrics |= {"max abs difference": comparison["max_abs_difference"]}
    workspace.say(
        f"{name} version {version} answers at {server.url}, equal to the registered model on {len(texts)} "
        f"texts (largest difference {comparison['max_abs_difference']:.1e}); alias {CHAMPION} moved"
    )


def _running_server(home: Path) -> triton_server.TritonServer:
    server = triton_server.find(home)
    if server is None:
        raise ServerError("deploy: no Triton is running here; start it with `textmill up`")
    return server


def _go_live(
    server: triton_server.TritonServer,
    name: str,
    version: int,
    onnx: Path,
    texts: Sequence[str],
    expected: Sequence[dict[str, float]],
    config: DeployConfig,
) -> dict[str, Any]:
    """Stage, question and switch; a version that is live already is only questioned."""
    if repository.pinned_version(Path(server.repository), name) == version:
        live.revive(server, name)
        comparison = _compare(name, server, texts, expected)
        _demand_agreement(comparison, config, name, version)
        return comparison
    settings = json.loads((onnx / "settings.json").read_text(encoding="utf-8"))
    candidate = live.stage_version(
        server, name, version, onnx=onnx / "model.onnx", tokenizer=onnx / "tokenizer.json", **settings
    )
    try:
        comparison = _compare(candidate, server, texts, expected)
        _demand_agreement(comparison, config, name, version)
    except (ParityError, TritonError):
        live.discard(server, name, version)
        raise
    live.go_live(server, name, version)
    return comparison


def _compare(
    endpoint: str,
    server: triton_server.TritonServer,
    texts: Sequence[str],
    expected: Sequence[dict[str, float]],
) -> dict[str, Any]:
    answers = triton.ask(texts, endpoint, http_port=server.http_port, timeout=60)
    worst, same = 0.0, True
    for answer, wanted in zip(answers, expected, strict=True):
        found = dict(zip(answer.labels, answer.probabilities, strict=True))
        worst = max(worst, *(abs(found.get(label, 0) - wanted[label]) for label in wanted))
        same &= answer.label == max(wanted, key=lambda label: wanted[label])
    return {"compared": len(answers), "max_abs_difference": worst, "same_labels": same}


def _demand_agreement(comparison: dict[str, Any], config: DeployConfig, name: str, version: int) -> None:
    # "not <=" also catches NaN
    if not comparison["max_abs_difference"] <= config.tolerance:
        raise ParityError(
            f"deploy: the endpoint of {name} version {version} differs from the registered model by "
            f"{comparison['max_abs_difference']:.2e} (allowed {config.tolerance:.0e}) on "
            f"{comparison['compared']} texts; it did not go live"
        )
