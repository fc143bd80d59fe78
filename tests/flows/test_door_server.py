"""The door beside Triton: opened with it, never in its way, and never opened wider by who knows less."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from flows import endpoints, environment, servers, status_lines
from flows.environment import Ports
from flows.servers import ServerStatus
from tasks.contract.errors import ServerError
from tests.flows.test_servers import point_at


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """Those of a home; what was started there is ended."""
    yield point_at(tmp_path, monkeypatch)
    servers.down()


def status_of(url: str, **headers: str) -> int:
    return httpx.get(f"{url}/v1/models", headers=headers).status_code


def test_it_comes_and_goes_with_triton_and_keeps_its_key(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.start("triton")
    door = servers.find("door")
    assert door
    assert door.url == f"http://127.0.0.1:{ports.door}"
    assert (status_of(door.url), status_of(door.url, Host="mill.example.org")) == (200, 403)
    servers.start("triton")
    assert servers.find("door") == door

    monkeypatch.setenv("TEXTMILL_API_KEY", "sk-right")
    monkeypatch.setenv("TEXTMILL_HOSTS", "mill.example.org")
    servers.start("triton")
    locked = servers.find("door")
    assert locked
    assert locked.pid != door.pid
    assert (status_of(door.url), status_of(door.url, Authorization="Bearer sk-right")) == (401, 200)
    assert status_of(door.url, Host="mill.example.org", Authorization="Bearer sk-right") == 200
    process = psutil.Process(locked.pid)
    assert "sk-right" not in " ".join(process.cmdline())
    for file in environment.home().rglob("*"):
        assert not file.is_file() or b"sk-right" not in file.read_bytes(), file

    monkeypatch.delenv("TEXTMILL_API_KEY")
    servers.start("triton")  # as a schedule does, which knows no key
    assert servers.find("door") == locked

    assert servers.down() == ["door", "triton"]
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("fault", ["port", "key"])
def test_what_keeps_it_from_starting_is_said_and_ends_nothing(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    with socket.socket() as taken:
        if fault == "port":
            taken.bind(("127.0.0.1", ports.door))
            taken.listen()
        else:
            monkeypatch.setenv("TEXTMILL_API_KEY", "two words")
        assert servers.start("triton").state == "running"
    said = " ".join(capsys.readouterr().out.split())
    if fault == "port":
        assert f"door can't start: port {ports.door} is taken by" in said
        assert "set TEXTMILL_DOOR_PORT to a free port" in said
    else:
        assert "the door can't ask for the key in TEXTMILL_API_KEY: use letters, digits and signs" in said
        assert "two words" not in said
    assert servers.find("door") is None


def test_one_that_was_killed_is_started_again(ports: Ports) -> None:
    servers.start("triton")
    first = servers.find("door")
    assert first
    psutil.Process(first.pid).kill()
    while servers.find("door"):
        time.sleep(0.05)
    servers.start("triton")
    second = servers.find("door")
    assert second
    assert second.pid != first.pid


@pytest.mark.parametrize(("state", "is_missed"), [("stopped", False), ("silent", True)])
def test_status_does_not_end_with_1_for_a_door_that_is_not_open(
    monkeypatch: pytest.MonkeyPatch, state: str, is_missed: bool
) -> None:
    monkeypatch.setattr(endpoints, "status", lambda *_: [])
    known = [ServerStatus("triton", "running", "http://127.0.0.1:8000", 1, "2")]
    known.append(ServerStatus("door", state, "http://127.0.0.1:8080"))  # type: ignore[arg-type]
    if is_missed:
        with pytest.raises(ServerError, match="no answer: door"):
            status_lines.show(known)
    else:
        status_lines.show(known)
