"""Servers: the real Prefect, MLflow, Triton and door, started by two commands at once and shared by tests."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from deploy import processes
from deploy.processes import Process
from flows import endpoints, environment, servers
from flows.environment import Ports
from flows.server_kinds import Name
from tasks.contract.errors import ServerError
from tests.free_ports import free_ports

ROOT = Path(__file__).parents[2]


def point_at(home: Path, patch: pytest.MonkeyPatch) -> Ports:
    """A home with ports of its own, as a user sets them."""
    patch.delenv("PREFECT_API_URL", raising=False)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.setenv("TEXTMILL_HOME", str(home))
    patch.delenv("TEXTMILL_API_KEY", raising=False)
    names = [field.name for field in dataclasses.fields(Ports)]
    for name, port in zip(names, free_ports(len(names)), strict=True):
        patch.setenv(environment.port_variable(name), str(port))
    return Ports.from_environment()


def family(server: servers.ServerStatus) -> list[psutil.Process]:
    """A running server's process and those that it started."""
    first = psutil.Process(server.pid)
    return [first, *first.children(recursive=True)]


def python(program: str) -> str:
    """The output of a program in a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """All run; the value is what two commands said that started them at the same time."""
    start = "from flows.servers import up; print(*[server.pid for server in up()])"
    with pytest.MonkeyPatch.context() as patch:
        point_at(tmp_path_factory.mktemp("a folder with spaces"), patch)
        try:
            with ThreadPoolExecutor() as pool:
                yield list(pool.map(python, [start, start]))
        finally:
            servers.down()


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    return point_at(tmp_path, monkeypatch)


def test_commands_that_start_at_once_end_with_one_server_each(running: list[str]) -> None:
    first, second = running
    assert first == second
    assert first.split() == [str(server.pid) for server in servers.status()]


def test_status_tells_what_runs_where(running: list[str]) -> None:
    ports = Ports.from_environment()
    prefect, mlflow, triton, door = servers.status()
    assert {server.state for server in servers.status()} == {"running"}
    assert prefect.url == f"http://127.0.0.1:{ports.prefect}"
    assert mlflow.url == f"http://127.0.0.1:{ports.mlflow}"
    assert triton.url == f"http://127.0.0.1:{ports.triton_http}"
    assert door.url == f"http://127.0.0.1:{ports.door}"
    assert triton.version
    assert door.version
    assert (prefect.version, mlflow.version) == tuple(
        python("import prefect, mlflow; print(prefect.__version__, mlflow.__version__)").split()
    )


def test_a_server_is_found_after_the_port_variable_changed(
    running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = servers.find("mlflow")
    monkeypatch.setenv("TEXTMILL_MLFLOW_PORT", str(free_ports(1)[0]))
    assert before
    assert servers.start("mlflow") == servers.find("mlflow") == before
    assert before.url.endswith(f":{servers.current_ports().mlflow}")


def test_everything_listens_on_loopback_only(running: list[str]) -> None:
    for server in servers.status():
        listening = [
            connection.laddr.ip
            for process in family(server)
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        # Triton's gRPC listens on IPv4 through an IPv6 socket.
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_a_server_that_hangs_is_silent(running: list[str]) -> None:
    mlflow = servers.find("mlflow")
    assert mlflow
    try:
        for process in family(mlflow):
            process.suspend()
        assert servers.find("mlflow") is None
        assert dataclasses.replace(mlflow, state="silent", version=None) == servers.status()[1]
    finally:
        for process in family(mlflow):
            process.resume()
    assert servers.start("mlflow") == mlflow


def test_clients_in_our_environment_reach_them(running: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in servers.process_variables().items():
        monkeypatch.setenv(name, value)
    output = python("""
import mlflow, prefect
from prefect.client.orchestration import get_client

@prefect.flow
def greet() -> str:
    return "hello"

state = greet(return_state=True)
with get_client(sync_client=True) as client:
    run = client.read_flow_runs()[0]
    flow = f"{client.api_url} {run.state.type.value}"
with mlflow.start_run() as run:
    mlflow.log_text("hello", "greeting.txt")
greeting = mlflow.artifacts.load_text(run.info.artifact_uri + "/greeting.txt")
print("\\n", flow, run.info.artifact_uri.split(":")[0], greeting)
""")
    api = f"http://127.0.0.1:{servers.current_ports().prefect}/api/"
    assert output.splitlines()[-1].split() == [api, "COMPLETED", "mlflow-artifacts", "hello"]
    # The addresses that were set for the clients are not taken for servers of the user's own.
    assert servers.status()[0].state == servers.status()[1].state == "running"
    assert list((environment.home() / "mlflow" / "artifacts").rglob("greeting.txt"))


def test_down_leaves_nothing(running: list[str]) -> None:
    ports = Ports.from_environment()
    pids = [process.pid for server in servers.status() for process in family(server)]
    assert len(pids) > 3  # MLflow has a worker
    assert servers.down() == ["door", "triton", "mlflow", "prefect"]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert all(processes.is_free(port) for port in dataclasses.asdict(ports).values())
    assert [server.state for server in servers.status()] == ["stopped"] * 4
    assert servers.down() == []


@pytest.mark.parametrize(
    ("name", "field"), [("prefect", "prefect"), ("mlflow", "mlflow"), ("triton", "triton_grpc")]
)
def test_a_taken_port_is_named_with_its_owner_and_the_way_out(
    empty_home: Ports, name: Name, field: str
) -> None:
    port = getattr(empty_home, field)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ServerError) as error:
            servers.start(name)
    for fact in (name, f"port {port}", f"pid {psutil.Process().pid}", f"TEXTMILL_{field.upper()}_PORT"):
        assert fact in str(error.value)
    assert servers.find(name) is None


def test_a_server_that_ends_at_once_says_why(empty_home: Ports) -> None:
    database = environment.home() / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    database.write_text("this is not a database\n" * 100, encoding="utf-8")
    with pytest.raises(ServerError, match="mlflow ended while starting") as error:
        servers.start("mlflow")
    assert "file is not a database" in str(error.value)
    assert str(environment.home() / "servers" / "mlflow.log") in str(error.value)
    assert servers.find("mlflow") is None


def test_triton_starts_although_an_endpoint_is_broken_and_says_which(
    empty_home: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = servers.triton_home() / "models" / "router"
    endpoint.mkdir(parents=True)
    (endpoint / "config.pbtxt").write_text('name: "router"\nplatform: "ensemble"\n', encoding="utf-8")
    try:
        assert servers.start("triton").state == "running"
        assert "router is not whole" in capsys.readouterr().out
        (found,) = endpoints.status(servers.triton_home(), empty_home.triton_http)
        assert (found.name, found.version) == ("router", None)
        assert "serves no model 'router'" in str(found.fault)
    finally:
        servers.down()


def test_a_process_that_got_the_pid_of_a_dead_server_is_left_alone(empty_home: Ports) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process = {"pid": bystander.pid, "started": "once/1"}
        record = environment.home() / "servers" / "prefect.json"
        record.parent.mkdir()
        record.write_text(json.dumps({"process": process, "port": empty_home.prefect}), encoding="utf-8")
        assert servers.find("prefect") is None
        assert servers.SERVERS["prefect"].stop() is False
        assert bystander.poll() is None
        assert not record.exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_copy_of_a_home_has_no_servers(
    empty_home: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for folder, record in (("servers", "mlflow.json"), ("triton", "server.json")):
        (home / folder).mkdir(parents=True)
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=home / folder)
        known = asdict(Process.named(process.pid))
        ports = {"http_port": empty_home.triton_http, "grpc_port": 1, "metrics_port": 2}
        content = {"process": known, "port": empty_home.mlflow, "home": str(home)}
        triton = {"home": str(home / folder), "repository": "", **known, **ports}
        (home / folder / record).write_text(
            json.dumps(triton if folder == "triton" else content), encoding="utf-8"
        )
    shutil.copytree(home, tmp_path / "copy")
    (tmp_path / "name").symlink_to(home)
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "name"))
    assert servers.status()[1].state == "silent"  # it is no MLflow, but it lives
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path / "copy"))
    assert [server.state for server in servers.status()] == ["stopped"] * 4
    assert servers.down() == []
    monkeypatch.setenv("TEXTMILL_HOME", str(home))
    assert servers.status()[1].state == "silent"
    assert servers.SERVERS["triton"].stop() is True


def test_a_home_that_another_machine_serves_is_left_to_it(
    empty_home: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = environment.home() / "servers" / "prefect.json"
    record.parent.mkdir()
    process = asdict(Process.named(os.getpid()))
    content = {"process": process, "port": 1, "home": str(environment.home()), "machine": "another"}
    record.write_text(json.dumps(content), encoding="utf-8")
    assert servers.find("prefect") is None
    with pytest.raises(ServerError, match="on the machine another"):
        servers.start("prefect")
    assert servers.SERVERS["prefect"].stop() is False
    assert record.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": {}, "port": 1}', '{"port": null}'])
def test_a_damaged_record_is_no_server(empty_home: Ports, content: str) -> None:
    record = environment.home() / "servers" / "mlflow.json"
    record.parent.mkdir()
    record.write_text(content, encoding="utf-8")
    assert servers.status()[1].state == "stopped"


def test_a_server_of_the_users_own_is_used_and_never_started(
    empty_home: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.com/api")
    monkeypatch.setattr(servers.own_servers, "server_fault", lambda server, url: None)
    prefect = servers.start("prefect")
    assert (prefect.state, prefect.url, prefect.pid) == ("external", "https://prefect.example.com", None)
    assert servers.SERVERS["prefect"].stop() is False


def test_a_server_of_the_users_own_that_is_not_there_is_said_at_once(
    empty_home: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerError, match=r"PREFECT_API_URL=http://127\.0\.0\.1:9/api does not answer"):
        servers.start("prefect")
    assert servers.status()[0].state == "silent"


def test_asking_for_the_status_leaves_no_trace(empty_home: Ports, tmp_path: Path) -> None:
    servers.status()
    assert list(tmp_path.iterdir()) == []


def test_asking_needs_no_server_library() -> None:
    modules = python(
        "import sys, flows.servers; print(*{name.split('.')[0] for name in sys.modules})"
    ).split()
    assert not {"prefect", "mlflow", "tritonclient", "numpy", "httpx", "starlette"} & set(modules)
