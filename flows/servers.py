"""Prefect, MLflow and Triton together, and the door: started once, found again, ended cleanly.

Starting Prefect for every run costs 9 to 24 seconds and loses records at exit; a server that stays
costs its start once. What runs is remembered in the home, so that every later command finds it on
whichever port it was started.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from corpus.redaction import redacted
from deploy import triton_server
from deploy.processes import LOOPBACK
from flows import endpoints, environment, login, supervision
from flows.door_server import Door
from flows.environment import Ports
from flows.home import make_private
from flows.server_kinds import READY_SECONDS, MLflow, Name, Prefect, Server, Triton, folder
from tasks.contract.errors import ServerError
from tasks.tracking import own_servers

TRITON, DOOR = Triton(), Door()
SERVERS: dict[Name, Server] = {server.name: server for server in (Prefect(), MLflow(), TRITON, DOOR)}
NAMES: tuple[Name, ...] = ("prefect", "mlflow", "triton")  # what runs need; the door comes with Triton


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known about one server; `url` is where its page is, or would be.

    `silent` is a process that lives but does not answer, `external` a server of the user's own.
    """

    name: Name
    state: Literal["running", "silent", "stopped", "external"]
    url: str
    pid: int | None = None
    version: str | None = None


def up() -> list[ServerStatus]:
    """Start the servers that don't run, side by side; running ones are left alone. What was live is served
    again, and what of it is broken is said and doesn't keep the rest.

    The door is opened beside Triton; what keeps it from that is said, too.

    Raises ServerError when a port is taken, or a server ends or is not ready within 120 seconds. The
    servers that did start stay.
    """
    _start(NAMES)
    return [_status(server) for server in SERVERS.values()]


def start(name: Name) -> ServerStatus:
    """Start one server unless it runs, wait until it is ready. Raises ServerError as `up` does."""
    return _start([name])[0]


def start_triton_again() -> None:
    """Start a Triton that was not ended on purpose anew, and serve what is live. Raises ServerError."""
    with _lock():
        if triton_server.recorded(TRITON.home) is None:  # somebody gave `down` meanwhile
            return
        TRITON.stop()
        TRITON.launch()
        _wait_until_ready(TRITON)
        endpoints.restore_and_report(TRITON.home)


def find(name: Name) -> ServerStatus | None:
    """The server if it can be used: one of ours that answers, or the user's own."""
    found = _status(SERVERS[name])
    return found if found.state in ("running", "external") else None


def status() -> list[ServerStatus]:
    """The state of all, in the order of `SERVERS`; one of the user's own is asked, too."""
    return [_asked(_status(server)) for server in SERVERS.values()]


def check_own(names: Sequence[Name]) -> None:
    """Ask those of the user's own. Raises ServerError for one that can't be used."""
    for name in names:
        if url := SERVERS[name].external_url:
            own_servers.check(name, url)


def down() -> list[Name]:
    """End what was started from this home, last started first; returns the names of what was ended."""
    with _lock():
        return [name for name in reversed(SERVERS) if SERVERS[name].stop()]


def current_ports() -> Ports:
    """The ports of the servers that run, and for the others those that the environment names."""
    ports = Ports.from_environment()
    for server in SERVERS.values():
        if running := server.running():
            ports = dataclasses.replace(ports, **running.ports)
    return ports


def process_variables() -> dict[str, str]:
    """What our processes find in theirs: the settings, and the log-ins at those of our servers that run.

    The key goes to nobody else: neither to a server of the user's own nor to whoever listens where ours did.
    """
    home = environment.home()
    variables = environment.process_variables(home, current_ports())
    for name in ("prefect", "mlflow"):
        ours, server = login.client_environment(name, home), SERVERS[name]
        if server.external_url:
            variables |= {variable: "" for variable in ours if os.environ.get(variable) == ours[variable]}
        elif server.running():
            variables |= ours
    return variables


def link(name: Name, page: str) -> str:
    """A page of a server as a link that logs in, where the server is ours and somebody has to."""
    ours = name in ("prefect", "mlflow") and not SERVERS[name].external_url
    return login.link(page, environment.home()) if ours else page


def triton_home() -> Path:
    """Where Triton's backends, log and record are; its model repository is `models` in it."""
    return TRITON.home


def _start(names: Sequence[Name]) -> list[ServerStatus]:
    check_own(names)
    servers = [SERVERS[name] for name in names]
    with _lock():
        _launch_missing(servers)
        if TRITON in servers:
            endpoints.restore_and_report(TRITON.home)
            supervision.begin()
            _open_door()
        return [_status(server) for server in servers]


def _launch_missing(servers: Sequence[Server]) -> None:
    """Start those that don't run, side by side, and wait until all are ready."""
    missing = [server for server in servers if _status(server).state == "stopped"]
    for server in missing:
        if machine := server.other_machine:
            raise ServerError(
                f"{server.name} of this home was started on the machine {machine}; end it there with "
                f"`textmill down`, or remove {folder() / server.name}.json when that machine is gone"
            )
        server.stop()  # workers of a server that was killed still hold its port
        server.require_free_ports()
    for server in missing:  # Triton last: it waits by itself, while the others get ready
        server.launch()
    for server in servers:
        _wait_until_ready(server)


def _open_door() -> None:
    """Start the door, or start it anew where it was told something else, such as another key.

    What keeps it from starting is said: nothing that a run makes depends on it.
    """
    try:
        if DOOR.running() and not DOOR.is_as_told():
            DOOR.stop()
        _launch_missing([DOOR])
    except (ServerError, OSError, psutil.Error) as error:
        from tasks.contract import console

        console.say(f"[yellow]{console.escaped(str(error))}[/]")


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while (state := _status(server).state) == "silent" and time.monotonic() < deadline:
        time.sleep(0.1)
    if state in ("running", "external"):
        return
    reason = "ended while starting" if state == "stopped" else f"is not ready after {READY_SECONDS:.0f} s"
    server.stop()
    raise ServerError("\n".join([f"{server.name} {reason}; the end of {server.log}:", *server.last_words()]))


def _status(server: Server) -> ServerStatus:
    if external := server.external_url:
        return ServerStatus(server.name, "external", redacted(external).removesuffix("/api"))
    first, running = server.ports[0], server.running()
    if running is None:
        port = getattr(Ports.from_environment(), first)
        return ServerStatus(server.name, "stopped", f"http://{LOOPBACK}:{port}")
    port = running.ports[first]
    answers = server.answers(port)
    return ServerStatus(
        server.name,
        "running" if answers else "silent",
        f"http://{LOOPBACK}:{port}",
        running.process.pid,
        server.version(port) if answers else None,
    )


def _asked(status: ServerStatus) -> ServerStatus:
    url = SERVERS[status.name].external_url if status.state == "external" else None
    return (
        dataclasses.replace(status, state="silent")
        if url and own_servers.server_fault(status.name, url)
        else status
    )


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """One command at a time starts or ends servers of this home; the second one waits, then finds them."""
    from filelock import FileLock, Timeout

    make_private()
    folder().mkdir(exist_ok=True)
    seconds = 2 * READY_SECONDS
    try:
        lock = FileLock(folder() / ".lock", timeout=seconds)
        lock.acquire()
    except Timeout:
        raise ServerError(
            f"another command has been starting or ending the servers of {environment.home()} for more than "
            f"{seconds:.0f} s; wait for it or end it"
        ) from None
    try:
        yield
    finally:
        lock.release()
