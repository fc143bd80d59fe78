"""The endpoints of this home: which there are, whether they answer, and how they are served again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy import client, live, repository, triton_server
from deploy.errors import TritonError


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint; `fault` says why it does not answer from its version, None when it does."""

    name: str
    version: int | None
    url: str
    fault: str | None


def status(triton_home: Path, http_port: int) -> list[EndpointStatus]:
    """Ask every endpoint that is live on disk a question."""
    models = triton_home / triton_server.REPOSITORY
    return [
        EndpointStatus(
            name,
            version := repository.pinned_version(models, name),
            f"http://{triton_server.HOST}:{http_port}/v2/models/{name}",
            _fault(name, version, http_port),
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
