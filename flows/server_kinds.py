"""One server of this machine: how each product is started, where it answers, and what is remembered of it."""

from __future__ import annotations

import http.client
import json
import platform
import sys
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from deploy import processes, triton_server
from deploy.errors import TritonError
from deploy.processes import LOOPBACK, Process
from flows import environment, login
from flows.environment import Ports
from tasks.contract.errors import ServerError

Name = Literal["prefect", "mlflow", "triton", "door"]
READY_SECONDS = 120.0
ANSWER_SECONDS = 5.0  # on a busy machine a healthy server may take a second and more
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Running:
    """The process of a server that was started from this home, and the ports by their fields in `Ports`."""

    process: Process
    ports: dict[str, int]


class Server(ABC):
    """A product as a server of this home.

    `ports` are the fields of `Ports` that it listens on; its pages are at the first.
    """

    name: Name
    ports: tuple[str, ...]
    health_page: str
    version_page: str

    @abstractmethod
    def launch(self) -> None:
        """Start it. Raises ServerError."""

    @abstractmethod
    def stop(self) -> bool:
        """End it with all its processes; False if there was none."""

    @abstractmethod
    def running(self) -> Running | None:
        """What was started from this home, None when it doesn't live any more."""

    @abstractmethod
    def version_in(self, page: str) -> str:
        """The version that its page tells."""

    @property
    def external_url(self) -> str | None:
        """The address of one of the user's own that takes its place."""
        return None

    @property
    def other_machine(self) -> str:
        """The machine on which it was started, when that is another one than this; else ""."""
        return ""

    @property
    def log(self) -> Path:
        """What it printed."""
        return folder() / f"{self.name}.log"

    def require_free_ports(self) -> None:
        """Raises ServerError when somebody listens on a port of it."""
        configured = Ports.from_environment()
        for field in self.ports:
            port = getattr(configured, field)
            if not processes.is_free(port):
                raise ServerError(
                    f"{self.name} can't start: port {port} is taken by {processes.owner(port)}; "
                    f"end that process, or set {environment.port_variable(field)} to a free port"
                )

    def answers(self, port: int) -> bool:
        """Whether it says that it is well."""
        return _page(port, self.health_page) is not None

    def version(self, port: int) -> str | None:
        """The version that it says it has."""
        page = _page(port, self.version_page)
        return None if page is None else self.version_in(page)

    def last_words(self) -> list[str]:
        """The end of its log."""
        return self.log.read_text(errors="replace", encoding="utf-8").splitlines()[-LOG_LINES:]


class ModuleServer(Server):
    """A Python module that we start as a server, remembered in `<home>/servers/<name>.json`."""

    @abstractmethod
    def arguments(self, address: list[str], home: Path) -> list[str]:
        """The module and its arguments."""

    @abstractmethod
    def told(self, home: Path, port: int) -> dict[str, str]:
        """What it is told by variables of its own. Raises ServerError for a wrong setting of the user's."""

    def launch(self) -> None:
        home, ports = environment.home(), Ports.from_environment()
        port = getattr(ports, self.name)
        address = ["--host", LOOPBACK, "--port", str(port)]
        process = processes.spawn(
            [sys.executable, "-m", *self.arguments(address, home)],
            environment.process_variables(home, ports) | self.told(home, port),
            log=self.log,
            mark=self._mark,
        )
        # Remembered before it is ready: a command that is interrupted now leaves a server that is found.
        record = {"process": asdict(process), "port": port, "home": str(home), "machine": platform.node()}
        self.record_path.write_text(json.dumps(record), encoding="utf-8")

    def stop(self) -> bool:
        if self.other_machine:
            return False
        ended = processes.end(self._mark)
        self.record_path.unlink(missing_ok=True)
        return bool(ended)

    def running(self) -> Running | None:
        content = self._remembered()
        try:
            running = Running(Process(**content["process"]), {self.name: int(content["port"])})
        except (ValueError, KeyError, TypeError):
            return None  # never started, or the file is damaged
        # What was started before the home got its place here writes where the home was.
        is_ours = content.get("home") == str(environment.home()) and processes.works_in(
            running.process.pid, folder()
        )
        return running if is_ours and running.process.is_alive() else None

    @property
    def other_machine(self) -> str:
        content = self._remembered()
        at_home = content.get("home") == str(environment.home())
        machine = str(content.get("machine", "")) if at_home else ""
        return "" if machine == platform.node() else machine

    @property
    def record_path(self) -> Path:
        """Where it is remembered."""
        return folder() / f"{self.name}.json"

    @property
    def _mark(self) -> str:
        return str(folder() / self.name)

    def _remembered(self) -> dict[str, Any]:
        try:
            content = json.loads(self.record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


class PageServer(ModuleServer):
    """Prefect or MLflow, behind our log-in; one of the user's own may take its place."""

    @property
    def external_url(self) -> str | None:
        return environment.external_url(self.name)

    def launch(self) -> None:
        home = environment.home()
        for place in (home / "prefect", home / "mlflow" / "artifacts"):
            place.mkdir(parents=True, exist_ok=True)
        super().launch()

    def told(self, home: Path, port: int) -> dict[str, str]:
        login.make_key(home)
        return login.server_environment(self.name, home, port)


class Prefect(PageServer):
    """Prefect's API and pages."""

    name: Name = "prefect"
    ports = ("prefect",)
    health_page = "/api/health"
    version_page = "/api/admin/version"

    def arguments(self, address: list[str], home: Path) -> list[str]:
        # What `prefect server start` does, with the log-in in front: that command serves no other app.
        app = "tasks.tracking.server_apps:prefect"
        return ["uvicorn", "--factory", app, *address, "--log-level", "warning"]

    def version_in(self, page: str) -> str:
        return str(json.loads(page))


class MLflow(PageServer):
    """MLflow's tracking server with its registry and artifacts."""

    name: Name = "mlflow"
    ports = ("mlflow",)
    health_page = "/health"
    version_page = "/version"

    def launch(self) -> None:
        if not entry_points(group="mlflow.app", name="textmill"):
            raise ServerError(
                "mlflow can't start: the installation is older than the code; run `make install`"
            )
        super().launch()

    def arguments(self, address: list[str], home: Path) -> list[str]:
        return [
            *("mlflow", "server", *address, "--app-name", "textmill"),
            # One worker: with more, each would create the tables of a new database, and all of them fail.
            *("--workers", "1", "--uvicorn-opts", "--no-access-log"),
            *("--backend-store-uri", f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"),
            *("--artifacts-destination", str(home / "mlflow" / "artifacts")),
        ]

    def version_in(self, page: str) -> str:
        return page


class Triton(Server):
    """The inference server, which keeps its own record (deploy/triton_server.py)."""

    name: Name = "triton"
    ports = ("triton_http", "triton_grpc", "triton_metrics")
    health_page = "/v2/health/live"
    version_page = "/v2"

    @property
    def home(self) -> Path:
        """Where its backends, log and record are; its model repository is `models` in it."""
        return environment.home() / "triton"

    def launch(self) -> None:
        """Start it and wait until it is ready."""
        ports = Ports.from_environment()
        try:
            triton_server.start(
                self.home,
                http_port=ports.triton_http,
                grpc_port=ports.triton_grpc,
                metrics_port=ports.triton_metrics,
                timeout=READY_SECONDS,
            )
        except TritonError as error:
            raise ServerError(f"triton can't start: {error}") from error

    def stop(self) -> bool:
        return triton_server.stop(self.home)

    def running(self) -> Running | None:
        found = triton_server.find(self.home)
        if found is None:
            return None
        ports = {"triton_http": found.http_port, "triton_grpc": found.grpc_port}
        return Running(Process(found.pid, found.started), ports | {"triton_metrics": found.metrics_port})

    def version_in(self, page: str) -> str:
        return str(json.loads(page)["version"])


def folder() -> Path:
    """Where records, logs and the key are."""
    return environment.home() / "servers"


def _page(port: int, path: str) -> str | None:
    """The body of a page of one of our servers, None unless it answers 200 in time."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers=login.header(environment.home()))
        response = connection.getresponse()
        return response.read().decode() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
