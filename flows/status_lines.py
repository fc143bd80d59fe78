"""What `textmill status` and `up` print: a line for each server, two for each endpoint."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

from flows import endpoints, servers, supervision
from flows.endpoints import EndpointStatus
from flows.servers import ServerStatus
from tasks.contract.console import console
from tasks.contract.errors import ServerError


def show(status: Sequence[ServerStatus]) -> None:
    """Print them, with what is live according to MLflow where that runs.

    Raises:
        ServerError: a server or an endpoint does not answer.
    """
    for server in status:
        pid = f"pid {server.pid}  " if server.pid else ""
        url = servers.link(server.name, server.url) if server.state == "running" else server.url
        _print(f"{server.name:<8} {server.state:<9} {pid}{url}")
        if server.name == "triton" and (repaired := supervision.last_repair()):
            _print(f"  {repaired}")
    served = endpoints.status(servers.triton_home(), servers.current_ports().triton_http)
    champions = _champions(status, served)
    for endpoint in served:
        _show(endpoint, champions)
    servers.check_own(servers.NAMES)
    silent: list[str] = [server.name for server in status if _is_missed(server)]
    silent += [endpoint.name for endpoint in served if endpoint.fault]
    if silent:
        raise ServerError(f"no answer: {', '.join(silent)}; `textmill up` starts what is missing")


def _is_missed(server: ServerStatus) -> bool:
    """Whether somebody waits for it in vain; a door that is not open stands in nobody's way."""
    return server.state == "silent" or (server.state == "stopped" and server.name in servers.NAMES)


def _champions(status: Sequence[ServerStatus], served: Sequence[EndpointStatus]) -> Mapping[str, int | None]:
    """The champion of each endpoint's model; nothing where MLflow is not asked, since it does not run."""
    runs = any(server.name == "mlflow" and server.state in ("running", "external") for server in status)
    if not (runs and served):
        return {}
    os.environ.update(servers.process_variables())
    from tasks.tracking.quick_champion import champions

    return champions(endpoint.name for endpoint in served)


def _show(endpoint: EndpointStatus, champions: Mapping[str, int | None]) -> None:
    name, version = endpoint.name, endpoint.version
    _print(f"{name}  version {version}  {endpoint.fault or 'answers'}  {endpoint.url}")
    known = []
    if endpoint.since and not endpoint.fault:
        known.append(f"live since {endpoint.since.astimezone():%Y-%m-%d %H:%M %Z}")
    if endpoint.parity is not None:
        known.append(f"parity {endpoint.parity:.1e}")
    if name in champions and champions[name] == version:
        known.append("champion in MLflow")
    if known:
        _print(f"  {', '.join(known)}")
    if name in champions and version is not None and champions[name] != version:
        _print(f"  {disagreement(name, version, champions[name])}")


def disagreement(name: str, served: int, champion: int | None) -> str:
    """Which of both is ahead, and what repairs it."""
    keep = f"`textmill deploy {name}@{served}` makes {served} the champion"
    if champion is None:
        return f"MLflow has no champion of {name}: {keep}"
    if champion > served:
        return f"MLflow is ahead, its champion is version {champion}: `textmill deploy {name}` serves it"
    return (
        f"the endpoint is ahead, MLflow's champion is version {champion}: `textmill deploy {name}` goes back "
        f"to it, {keep}"
    )


def _print(line: str) -> None:
    """One line; on a terminal as many as its width makes necessary, without cutting an address or a name."""
    if console.is_terminal:
        wrapper = textwrap.TextWrapper(console.width, subsequent_indent="  ")
        wrapper.break_long_words = wrapper.break_on_hyphens = False
        line = wrapper.fill(line)
    print(line)
