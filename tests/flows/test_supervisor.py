"""Who kills Triton, or a model's process, sees both answer again within seconds, without a command."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy import client, live, triton_server
from deploy.errors import TritonError
from tests.deploy.conftest import SENTENCES, Bundle, bundle  # noqa: F401

PATIENCE = 60.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def watched(
    open_mill: Callable[..., Any],
    bundle: Callable[..., Bundle],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """A home with Triton alone, an endpoint, and a supervisor."""
    with open_mill(tmp_path_factory.mktemp("watched") / "home", TEXTMILL_SUPERVISOR="on") as mill:
        start = "from flows import servers; servers.start('triton')"
        subprocess.run([sys.executable, "-c", start], env=mill.environment, check=True)
        server = triton_server.find(mill.home / "triton")
        assert server
        live.stage_version(server, "router", 1, bundle(1).folder)
        live.go_live(server, "router", 1)
        yield mill


class Load:
    """A client that asks without a pause, and counts what it sees."""

    def __init__(self, mill: Any) -> None:
        self.port = int(mill.environment["TEXTMILL_TRITON_HTTP_PORT"])
        self.right = self.failed = self.wrong = 0
        self.expected = client.ask(SENTENCES, "router", http_port=self.port)
        self._goes_on = True
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while self._goes_on:
            try:
                answers = client.ask(SENTENCES, "router", http_port=self.port)
            except TritonError:
                self.failed += 1
            else:
                if answers == self.expected:
                    self.right += 1
                else:
                    self.wrong += 1

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._goes_on = False
        self._thread.join()

    def wait_until_answered(self) -> None:
        """Until there are right answers after failed ones."""
        until = time.monotonic() + PATIENCE
        while not self.failed and time.monotonic() < until:
            time.sleep(0.02)
        before = self.right
        while self.right < before + 5:
            assert time.monotonic() < until, "it does not answer again"
            time.sleep(0.02)


def of_the_model(mill: Any) -> psutil.Process:
    """The process behind the endpoint."""
    server = triton_server.recorded(mill.home / "triton")
    assert server
    processes = psutil.Process(server.pid).children()
    (found,) = (one for one in processes if "/router-v1-model/" in " ".join(one.cmdline()))
    return found


def of_triton(mill: Any) -> psutil.Process:
    server = triton_server.recorded(mill.home / "triton")
    assert server
    return psutil.Process(server.pid)


@pytest.mark.parametrize(
    ("process", "what"),
    [(of_the_model, "router did not answer from its version"), (of_triton, "Triton's process was gone")],
)
def test_what_was_killed_answers_again_and_nothing_wrong_meanwhile(
    watched: Any, process: Callable[[Any], psutil.Process], what: str
) -> None:
    with Load(watched) as load:
        process(watched).kill()
        load.wait_until_answered()
    assert load.right
    assert not load.wrong
    until = time.monotonic() + PATIENCE
    while what not in repaired(watched) and time.monotonic() < until:
        time.sleep(0.1)  # it is written down behind the first answer
    assert what in repaired(watched)


def repaired(mill: Any) -> str:
    place = mill.home / "servers" / "supervisor.json"
    return str(json.loads(place.read_text(encoding="utf-8"))["what"]) if place.exists() else ""


def supervisors(home: Path) -> list[psutil.Process]:
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if "flows.supervisor" in " ".join(one.info["cmdline"] or ())
        and one.environ().get("TEXTMILL_HOME") == str(home)
    ]


def test_one_watches_and_ends_with_triton(watched: Any) -> None:
    start = "from flows import servers; servers.start('triton')"
    subprocess.run([sys.executable, "-c", start], env=watched.environment, check=True)
    until = time.monotonic() + PATIENCE
    while len(supervisors(watched.home)) != 1 and time.monotonic() < until:
        time.sleep(0.1)
    (one,) = supervisors(watched.home)
    assert "repaired " in watched("status", code=1)  # of three servers one runs
    watched("down")
    psutil.wait_procs([one], timeout=PATIENCE)
    assert not one.is_running()
    assert triton_server.recorded(watched.home / "triton") is None
