"""The key of a home's servers: who finds it, and who is never sent it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import processes
from flows import environment, login, mlflow_login, servers
from tasks.contract.errors import ServerError
from tasks.tracking.auth_middleware import basic
from tests.free_ports import free_ports

THEIRS = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a key, and nothing of servers in the environment."""
    for name in (*THEIRS, "PREFECT_API_AUTH_STRING", "PREFECT_CLIENT_CUSTOM_HEADERS", login.ON_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, port in zip(("prefect", "mlflow"), free_ports(2), strict=True):
        monkeypatch.setenv(environment.port_variable(name), str(port))
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    login.key_file(tmp_path).parent.mkdir()
    login.make_key(tmp_path)
    return tmp_path


def remember(home: Path, name: str, process: processes.Process) -> None:
    """Let a process be taken for a server of the home."""
    from dataclasses import asdict

    port = getattr(environment.Ports.from_environment(), name)
    record = {"process": asdict(process), "port": port, "home": str(environment.home())}
    (home / "servers" / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")


def test_a_key_is_random_stays_and_is_its_owners_alone(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = login.login_key(home)
    login.make_key(home)
    assert len(key or "") >= 32
    assert login.login_key(home) == key
    assert login.key_file(home).stat().st_mode & 0o777 == 0o600
    other = tmp_path_factory.mktemp("other")
    login.key_file(other).parent.mkdir()
    login.make_key(other)
    assert login.login_key(other) != key


def test_a_home_without_servers_has_no_key(tmp_path: Path) -> None:
    assert login.login_key(tmp_path) is None
    assert login.header(tmp_path) == login.client_environment("mlflow", tmp_path) == {}
    assert login.link("http://127.0.0.1:5000", tmp_path) == "http://127.0.0.1:5000"
    assert list(tmp_path.iterdir()) == []


def test_links_log_in_and_lead_to_their_page(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"http://textmill:{login.login_key(home)}@127.0.0.1:5000/login"
    assert login.link("http://127.0.0.1:5000", home) == login.link("http://127.0.0.1:5000/", home) == page
    assert login.link("http://127.0.0.1:5000/#/models", home) == f"{page}?next=/%23/models"
    monkeypatch.setenv(login.ON_VARIABLE, "off")
    assert login.link("http://127.0.0.1:5000/#/models", home) == "http://127.0.0.1:5000/#/models"


def test_log_ins_are_turned_off_by_one_setting_and_the_rest_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert login.server_environment("mlflow", home, 5000)["TEXTMILL_AUTH_KEY_FILE"] == str(
        login.key_file(home)
    )
    monkeypatch.setenv(login.ON_VARIABLE, "off")
    monkeypatch.setenv(login.HOSTS_VARIABLE, "mill.example.org, mill:8080")
    told = login.server_environment("mlflow", home, 5000)
    assert told["TEXTMILL_AUTH_KEY_FILE"] == ""
    hosts = ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "mill.example.org", "mill:8080"]
    assert told["TEXTMILL_AUTH_HOSTS"].split(",") == told["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",") == hosts
    monkeypatch.setenv(login.ON_VARIABLE, "no")
    with pytest.raises(ServerError, match="TEXTMILL_LOGIN='no': give `on` or `off`"):
        login.server_environment("mlflow", home, 5000)


def test_clients_get_the_key_of_servers_that_run_and_of_no_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(login.login_key(home))
    assert key not in "".join(servers.process_variables().values())  # whoever listens there now is not ours
    program = [sys.executable, "-c", "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, cwd=home / "servers") as alive:
        process = processes.Process.named(alive.pid)
        for name in ("prefect", "mlflow"):
            remember(home, name, process)
        monkeypatch.setenv("PREFECT_CLIENT_CUSTOM_HEADERS", '{"X-Team": "a", "authorization": "b"}')
        found = servers.process_variables()
        assert (found["MLFLOW_TRACKING_USERNAME"], found["MLFLOW_TRACKING_PASSWORD"]) == ("textmill", key)
        assert found["PREFECT_API_AUTH_STRING"] == f"textmill:{key}"
        headers = json.loads(found["PREFECT_CLIENT_CUSTOM_HEADERS"])
        assert headers == {"X-Team": "a", "Authorization": basic(key)}
        # A shell that has these variables, and then names a server of its own.
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.com/api")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.com")
        theirs = servers.process_variables()
        assert key not in "".join(theirs.values())
        assert basic(key) not in "".join(theirs.values())
        assert theirs["MLFLOW_TRACKING_PASSWORD"] == ""
        alive.kill()


def http_request(host_creds: SimpleNamespace) -> dict[str, str]:
    """Asks for headers where MLflow does: in a function of this name, with the address in this variable."""
    provider = mlflow_login.Provider()
    return provider.request_headers() if provider.in_context() else {}


def test_mlflows_clients_send_the_key_to_the_server_of_the_home_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = "import socket; s = socket.create_server(('127.0.0.1', {})); print(flush=True); input()"
    ports = free_ports(3)
    marks = (str(home / "servers" / "mlflow"), None)
    for port, mark in zip(ports, marks, strict=False):
        marked = {processes.MARK: mark} if mark else {}
        child = subprocess.Popen(
            [sys.executable, "-c", listen.format(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=marked,
        )
        assert child.stdout
        child.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        expected = login.header(home) if mark else {}
        assert http_request(SimpleNamespace(host=url)) == expected
        for other in (
            f"http://localhost:{port}",
            f"https://127.0.0.1:{port}",
            "http://127.0.0.1",
            "databricks",
        ):
            assert http_request(SimpleNamespace(host=other)) == {}
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_TOKEN", "theirs")
            assert http_request(SimpleNamespace(host=url)) == {}
        child.communicate(b"\n")
        assert http_request(SimpleNamespace(host=url)) == {}
    assert http_request(SimpleNamespace(host=f"http://127.0.0.1:{ports[2]}")) == {}
    assert mlflow_login.Provider().request_headers() == {}  # nobody says where the request goes


def test_the_package_tells_mlflow_where_app_and_provider_are() -> None:
    from importlib.metadata import entry_points

    for group in ("mlflow.app", "mlflow.request_header_provider"):
        (found,) = entry_points(group=group, name="textmill")
        assert callable(found.load())
