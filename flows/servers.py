"""Prefect, MLflow and Triton as servers of this machine: started once, found again, ended cleanly.

Starting Prefect for every run costs 9 to 24 seconds and loses records at exit; a server that stays
costs its start once. What runs is remembered in `<home>/servers/<name>.json`, so that every later
command finds it on whichever port it was started. Triton keeps its own record (deploy/triton_server.py).
"""

import contextlib
import dataclasses
import http.client
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from corpus.redaction import redacted
from deploy import triton_server
from deploy.errors import TritonError
from flows import closed_home, endpoints, login, processes, settings
from flows.processes import Process
from flows.settings import LOOPBACK, Ports
from tasks.contract.errors import ServerError
from tasks.tracking import own_servers

Name = Literal["prefect", "mlflow", "triton"]
NAMES: tuple[Name, ...] = ("prefect", "mlflow", "triton")
READY_SECONDS = 120.0
LOG_LINES = 15

# The fields of Ports that a server listens on; its pages are at the first.
_PORTS = {
    "prefect": ("prefect",),
    "mlflow": ("mlflow",),
    "triton": ("triton_http", "triton_grpc", "triton_metrics"),
}
_HEALTH_PAGE = {"prefect": "/api/health", "mlflow": "/health", "triton": "/v2/health/live"}
_VERSION_PAGE = {"prefect": "/api/admin/version", "mlflow": "/version", "triton": "/v2"}


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known about one server; `url` is where its page is, or would be.

    `silent` is a process that lives but does not answer, `external` a server of the user's own.
    """

    name: Name
    state: Literal["running", "silent", "stopped", "external"]
    url: str
    pid: int | None = None
    since: datetime | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """A server that was started from this home, and the port of its pages."""

    process: Process
    port: int


def up() -> list[ServerStatus]:
    """Start the servers that don't run, side by side; running ones are left alone. What was live is served
    again, and what of it is broken is said and doesn't keep the rest.

    Raises ServerError when a port is taken, or a server ends or is not ready within 120 seconds. The
    servers that did start stay.
    """
    return _start(NAMES)


def start(name: Name) -> ServerStatus:
    """Start one server unless it runs, wait until it is ready. Raises ServerError as `up` does."""
    return _start([name])[0]


def find(name: Name) -> ServerStatus | None:
    """The server if it can be used: one of ours that answers, or the user's own."""
    found = _status(name)
    return found if found.state in ("running", "external") else None


def status() -> list[ServerStatus]:
    """The state of all three, in the order of `NAMES`; one of the user's own is asked, too."""
    return [_asked(_status(name)) for name in NAMES]


def check_own(names: Sequence[Name]) -> None:
    """Ask those of the user's own. Raises ServerError for one that can't be used."""
    for name in names:
        if name != "triton" and (url := settings.external_url(name)):
            own_servers.check(name, url)


def stop(name: Name) -> bool:
    """End a server that was started from this home, with all its processes; False if there was none."""
    with _lock():
        return _stop(name)


def down() -> list[Name]:
    """End what was started from this home, last started first; returns the names of what was ended."""
    with _lock():
        return [name for name in reversed(NAMES) if _stop(name)]


def current_ports() -> Ports:
    """The ports of the servers that run, and for the others those that the environment names."""
    ports = Ports.from_environment()
    for name in ("prefect", "mlflow"):
        if record := _recorded(name):
            ports = dataclasses.replace(ports, **{name: record.port})
    if triton := triton_server.find(triton_home()):
        ports = dataclasses.replace(
            ports,
            triton_http=triton.http_port,
            triton_grpc=triton.grpc_port,
            triton_metrics=triton.metrics_port,
        )
    return ports


def environment() -> dict[str, str]:
    """What our processes find in theirs: the settings, and the log-ins at those of our servers that run.

    The key goes to nobody else: neither to a server of the user's own nor to whoever listens where ours did.
    """
    home = settings.home()
    found = settings.environment(home, current_ports())
    for name in ("prefect", "mlflow"):
        ours = login.client_environment(name, home)
        if settings.external_url(name):
            found |= {variable: "" for variable in ours if os.environ.get(variable) == ours[variable]}
        elif _recorded(name):
            found |= ours
    return found


def link(name: Name, page: str) -> str:
    """A page of a server as a link that logs in, where the server is ours and somebody has to."""
    ours = name != "triton" and not settings.external_url(name)
    return login.link(page, settings.home()) if ours else page


def triton_home() -> Path:
    """Where Triton's backends, log and record are; its model repository is `models` in it."""
    return settings.home() / "triton"


def _start(names: Sequence[Name]) -> list[ServerStatus]:
    check_own(names)
    with _lock():
        missing = [name for name in names if _status(name).state == "stopped"]
        for name in missing:
            if machine := _runs_elsewhere(name):
                raise ServerError(
                    f"{name} of this home was started on the machine {machine}; end it there with `textmill "
                    f"down`, or remove {_record_path(name)} when that machine is gone"
                )
            _stop(name)  # workers of a server that was killed still hold its port
            _require_free_ports(name)
        for name in missing:
            if name != "triton":
                _launch(name)
        if "triton" in missing:
            _launch_triton()  # last, because it waits by itself, while the others get ready
        for name in names:
            _wait_until_ready(name)
        if "triton" in names:
            endpoints.restore(triton_home())
        return [_status(name) for name in names]


def _require_free_ports(name: Name) -> None:
    ports = Ports.from_environment()
    for field in _PORTS[name]:
        port = getattr(ports, field)
        if not processes.is_free(port):
            raise ServerError(
                f"{name} can't start: port {port} is taken by {processes.owner(port)}; "
                f"end that process, or set {settings.port_variable(field)} to a free port"
            )


def _launch(name: Name) -> None:
    home, ports = settings.home(), Ports.from_environment()
    port = getattr(ports, name)
    for folder in (home / "prefect", home / "mlflow" / "artifacts"):
        folder.mkdir(parents=True, exist_ok=True)
    login.make_key(home)
    if name == "mlflow" and not entry_points(group="mlflow.app", name="textmill"):
        raise ServerError("mlflow can't start: the installation is older than the code; run `make install`")
    process = processes.spawn(
        [sys.executable, "-m", *_arguments(name, home, port)],
        settings.environment(home, ports) | login.server_environment(name, home, port),
        log=_log(name),
        mark=_mark(name),
    )
    # Remembered before it is ready: a command that is interrupted now leaves a server that is found.
    record = {"process": asdict(process), "port": port, "home": str(home), "machine": platform.node()}
    _record_path(name).write_text(json.dumps(record), encoding="utf-8")


def _arguments(name: Name, home: Path, port: int) -> list[str]:
    address = ["--host", LOOPBACK, "--port", str(port)]
    if name == "prefect":
        # What `prefect server start` does, with the door in front: that command serves no other app.
        return [
            "uvicorn",
            "--factory",
            "tasks.tracking.server_apps:prefect",
            *address,
            "--log-level",
            "warning",
        ]
    return [
        *("mlflow", "server", *address, "--app-name", "textmill"),
        # One worker: with more, each would create the tables of a new database, and all of them fail.
        *("--workers", "1", "--uvicorn-opts", "--no-access-log"),
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "mlflow" / "artifacts")),
    ]


def _launch_triton() -> None:
    ports = Ports.from_environment()
    try:
        triton_server.start(
            triton_home(),
            http_port=ports.triton_http,
            grpc_port=ports.triton_grpc,
            metrics_port=ports.triton_metrics,
            timeout=READY_SECONDS,
        )
    except TritonError as error:
        raise ServerError(f"triton can't start: {error}") from error


def _wait_until_ready(name: Name) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while (state := _status(name).state) == "silent" and time.monotonic() < deadline:
        time.sleep(0.1)
    if state in ("running", "external"):
        return
    reason = "ended while starting" if state == "stopped" else f"is not ready after {READY_SECONDS:.0f} s"
    _stop(name)
    lines = _log(name).read_text(errors="replace", encoding="utf-8").splitlines()[-LOG_LINES:]
    raise ServerError("\n".join([f"{name} {reason}; the end of {_log(name)}:", *lines]))


def _stop(name: Name) -> bool:
    if name == "triton":
        return triton_server.stop(triton_home())
    if _runs_elsewhere(name):
        return False
    ended = processes.end(_mark(name))
    _record_path(name).unlink(missing_ok=True)
    return bool(ended)


def _status(name: Name) -> ServerStatus:
    if name != "triton" and (external := settings.external_url(name)):
        return ServerStatus(name, "external", redacted(external).removesuffix("/api"))
    record = _recorded(name)
    if record is None:
        port = getattr(Ports.from_environment(), _PORTS[name][0])
        return ServerStatus(name, "stopped", f"http://{LOOPBACK}:{port}")
    answers = _page(record.port, _HEALTH_PAGE[name]) is not None
    return ServerStatus(
        name,
        "running" if answers else "silent",
        f"http://{LOOPBACK}:{record.port}",
        record.process.pid,
        datetime.fromtimestamp(record.process.created, UTC),
        _version(name, record.port) if answers else None,
    )


def _asked(found: ServerStatus) -> ServerStatus:
    url = settings.external_url(found.name) if found.state == "external" else None
    return dataclasses.replace(found, state="silent") if url and own_servers.fault(found.name, url) else found


def _recorded(name: Name) -> _Record | None:
    """The server as remembered, None when it doesn't live any more."""
    if name == "triton":
        found = triton_server.find(triton_home())
        return _Record(Process(found.pid, found.created), found.http_port) if found else None
    content = _remembered(name)
    try:
        record = _Record(Process(**content["process"]), int(content["port"]))
    except (ValueError, KeyError, TypeError):
        return None  # never started, or the file is damaged
    # What was started before the home got its place here writes where the home was.
    is_ours = content.get("home") == str(settings.home()) and processes.works_in(
        record.process.pid, _folder()
    )
    return record if is_ours and record.process.is_alive() else None


def _remembered(name: Name) -> dict[str, Any]:
    try:
        content = json.loads(_record_path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs_elsewhere(name: Name) -> str:
    """The machine on which a server of this home was started, when it is another one than this."""
    content = _remembered(name)
    at_home = content.get("home") == str(settings.home())
    machine = str(content.get("machine", "")) if at_home else ""
    return "" if machine == platform.node() else machine


def _version(name: Name, port: int) -> str | None:
    page = _page(port, _VERSION_PAGE[name])
    if page is None or name == "mlflow":
        return page  # MLflow answers with the bare text, the others with JSON
    content = json.loads(page)
    return str(content["version"] if name == "triton" else content)


def _page(port: int, path: str) -> str | None:
    """The body of a page of one of our servers, None unless it answers 200 within a second."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request("GET", path, headers=login.header(settings.home()))
        response = connection.getresponse()
        return response.read().decode() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _folder() -> Path:
    return settings.home() / "servers"


def _record_path(name: Name) -> Path:
    return _folder() / f"{name}.json"


def _log(name: Name) -> Path:
    return _folder() / f"{name}.log"


def _mark(name: Name) -> str:
    return str(_folder() / name)


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """One command at a time starts or ends servers of this home; the second one waits, then finds them."""
    from filelock import FileLock, Timeout

    closed_home.close()
    _folder().mkdir(exist_ok=True)
    seconds = 2 * READY_SECONDS
    try:
        lock = FileLock(_folder() / ".lock", timeout=seconds)
        lock.acquire()
    except Timeout:
        raise ServerError(
            f"another command has been starting or ending the servers of {settings.home()} for more than "
            f"{seconds:.0f} s; wait for it or end it"
        ) from None
    try:
        yield
    finally:
        lock.release()
