"""Processes are ended with all their workers, and nobody else's is."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy import processes
from deploy.processes import Process

SLEEP = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(60)"]


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    mark = str(tmp_path / "server")
    yield mark
    processes.end(mark)


def until(log: Path, word: str) -> str:
    deadline = time.monotonic() + 30
    while word not in log.read_text(encoding="utf-8") and time.monotonic() < deadline:
        time.sleep(0.02)
    return log.read_text(encoding="utf-8")


def test_a_process_lives_until_it_is_ended(tmp_path: Path, mark: str) -> None:
    process = processes.spawn(SLEEP, {}, tmp_path / "log", mark)
    assert process.is_alive()
    assert processes.end(mark) == [process.pid]
    assert not process.is_alive()
    assert processes.end(mark) == []


def test_it_has_a_session_of_its_own_and_listens_to_signals(tmp_path: Path, mark: str) -> None:
    program = (
        "import os, signal, sys; print(os.getsid(0) == os.getpid(), signal.getsignal(2), sys.stdin.read())"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a background job of a script has it
    try:
        processes.spawn([sys.executable, "-c", program], {}, tmp_path / "log", mark)
    finally:
        signal.signal(signal.SIGINT, before)
    output = until(tmp_path / "log", "\n")
    assert output.startswith("True <built-in function default_int_handler>")


def test_one_that_ignores_sigterm_is_killed(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "TERMINATE_SECONDS", 0.3)
    program = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = processes.spawn([sys.executable, "-c", program], {}, tmp_path / "log", mark)
    until(tmp_path / "log", "deaf")
    processes.end(mark)
    assert not process.is_alive()


def test_workers_of_a_killed_server_are_found(tmp_path: Path, mark: str) -> None:
    program = (
        "import subprocess, sys, time; "
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); "
        "time.sleep(60)"
    )
    server = processes.spawn([sys.executable, "-c", program], {}, tmp_path / "log", mark)
    worker = int(until(tmp_path / "log", "\n"))
    psutil.Process(server.pid).kill()
    psutil.wait_procs([psutil.Process(server.pid)], timeout=10)
    assert processes.end(mark) == [worker]
    assert not psutil.pid_exists(worker)


def test_a_recycled_pid_is_somebody_else() -> None:
    bystander = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    try:
        process = Process.named(bystander.pid)
        assert process.is_alive()
        assert not Process(bystander.pid, process.started + "0").is_alive()
        assert not Process(bystander.pid, f"another start/{process.started.partition('/')[2]}").is_alive()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_clock_that_is_set_loses_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a virtual machine goes on after a pause, all processes have begun at another time of day."""
    bystander = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    try:
        process, began = Process.named(bystander.pid), psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: began(self) + 3600)
        assert process.is_alive()
        assert Process.named(bystander.pid) == process
    finally:
        bystander.kill()
        bystander.wait()
    assert not process.is_alive()


def test_the_log_before_is_kept(tmp_path: Path, mark: str) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        processes.spawn([sys.executable, "-c", f"print('{word}')"], {}, log, mark)
        until(log, word)
    assert log.read_text(encoding="utf-8") == "second\n"
    assert (tmp_path / "log.previous").read_text(encoding="utf-8") == "first\n"


def test_a_taken_port_has_an_owner() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not processes.is_free(port)
        assert f"pid {psutil.Process().pid}" in processes.owner(port)
    assert processes.is_free(port)


def test_a_process_belongs_to_the_folder_that_it_works_in(tmp_path: Path) -> None:
    home, copy, moved = (tmp_path / name / "servers" for name in ("home", "copy", "moved"))
    home.mkdir(parents=True)
    process = processes.spawn(["sleep", "60"], {}, home / "prefect.log", mark=str(home / "prefect"))
    shutil.copytree(home, copy)
    try:
        assert processes.works_in(process.pid, home)
        assert not processes.works_in(process.pid, copy)
        assert processes.end(str(copy / "prefect")) == []
        home.parent.rename(moved.parent)
        home.mkdir(parents=True)  # another home in the place of the first
        assert processes.end(str(home / "prefect")) == []
        assert processes.end(str(moved / "prefect")) == [process.pid]
    finally:
        processes.end(str(moved / "prefect"))


def test_what_a_deleted_home_left_running_is_ended_from_its_place(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    process = processes.spawn(["sleep", "60"], {}, tmp_path / "home" / "log", str(tmp_path / "home" / "m"))
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").mkdir()
    assert processes.end(str(tmp_path / "home" / "m")) == [process.pid]
