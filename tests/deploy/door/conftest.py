"""The door as `textmill up` starts it, in front of a real Triton with an endpoint of each kind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy import live
from deploy.door.settings import HOSTS_VARIABLE, KEY_VARIABLE, TRITON_VARIABLE
from deploy.triton_server import TritonServer
from tests.deploy.door.small_endpoints import exported
from tests.free_ports import free_ports

ENDPOINTS = {
    "alike": "similarity",
    "labels": "classification",
    "vectors": "matching",
    "names": "token_classification",
    "passages": "question_answering",
    "chat": "instructions",
    "translate": "seq2seq",
}
OpenDoor = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="package")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has a byte for each token that the endpoint `slow` wrote."""
    return tmp_path_factory.mktemp("counted") / "tokens"


@pytest.fixture(scope="package")
def served(server: TritonServer, counted: Path, tmp_path_factory: pytest.TempPathFactory) -> TritonServer:
    """Triton with these endpoints, and `slow`, which takes its time."""
    place = tmp_path_factory.mktemp("door")
    for name, task in ENDPOINTS.items():
        live.stage_version(server, name, 1, exported(place / name, task))
        live.go_live(server, name, 1)
    slow = exported(place / "slow", "instructions", counted=counted)
    live.stage_version(server, "slow", 3, slow)
    live.go_live(server, "slow", 3)
    return server


@pytest.fixture(scope="package")
def open_door(served: TritonServer) -> OpenDoor:
    """Start a door; the value is its address. `with open_door(key="…") as url`."""

    @contextmanager
    def opened(key: str = "") -> Iterator[str]:
        (port,) = free_ports(1)
        told = {
            HOSTS_VARIABLE: f"127.0.0.1:{port},localhost:{port},models.example.org",
            TRITON_VARIABLE: served.home,
            KEY_VARIABLE: key,
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", "deploy.door.application:door"]
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
        process = subprocess.Popen([*command, *arguments], env=os.environ | told)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url)
            yield url
        finally:
            process.terminate()
            process.wait()

    return opened


@pytest.fixture(scope="package")
def door(open_door: OpenDoor) -> Iterator[str]:
    """The address of a door that asks for no key."""
    with open_door() as url:
        yield url


@pytest.fixture(scope="package")
def locked_door(open_door: OpenDoor) -> Iterator[str]:
    """The address of a door that asks for the key `sk-right`."""
    with open_door(key="sk-right") as url:
        yield url


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"no door at {url}")
