"""The endpoints of this home: which there are, whether they answer, and how they are served again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy import client, live, repository, triton_server
from deploy.errors import TritonError
from deploy.live_since import live_since


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint; `fault` says why it does not answer from its version, None when it does.

    `since` is when it moved to the version, `parity` the largest difference from the registered model that
    was measured when a run deployed it; None where nothing here knows.
    """

    name: str
    version: int | None
    url: str
    fault: str | None
    since: datetime | None
    parity: float | None


def status(triton_home: Path, http_port: int) -> list[EndpointStatus]:
    """Ask every endpoint that is live on disk a question."""
    models = triton_home / triton_server.REPOSITORY
    return [
        EndpointStatus(
            name,
            version := repository.pinned_version(models, name),
            f"http://{triton_server.HOST}:{http_port}/v2/models/{name}",
            _fault(name, version, http_port),
            live_since(triton_home, name, version),
            _parity(triton_home, name, version),
        )
        for name in live.endpoints(models)
    ]


def restore_and_report(triton_home: Path) -> None:
    """Let a running Triton serve what is live on disk; say what was broken, and what became of it."""
    server = triton_server.find(triton_home)
    if server is None or not live.endpoints(Path(server.repository)):
        return
    from tasks.contract import console
    from tasks.contract.store import Store
    from tasks.deployment import deployed

    for line in deployed.restore(server, Store(triton_home.parent)):
        console.say(f"[yellow]{console.escaped(line)}[/]")


def _fault(name: str, version: int | None, http_port: int) -> str | None:
    try:
        answer = client.probe(name, http_port=http_port)
    except TritonError as error:
        return f"does not answer ({error})"
    if answer.model_version != str(version):
        return f"answers from version {answer.model_version}"
    return None


def _parity(triton_home: Path, name: str, version: int | None) -> float | None:
    from tasks.contract.store import Store
    from tasks.deployment.deployed import deployment

    known = deployment(Store(triton_home.parent), name, version) if version else None
    return known.metrics.get("max abs difference") if known else None
