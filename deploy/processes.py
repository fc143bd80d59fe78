"""Server processes: started so that they outlive the command, found, and ended without hitting a bystander.

A pid alone is not a name: after a crash or a reboot the same number belongs to somebody else. A
process is therefore known by its pid and the moment it was started, and every process of a server,
its workers too, carries a mark in its environment. And a record alone is no proof: it is copied with the
folder that it lies in, while the process works in the original.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
MARK = "TEXTMILL_SERVER"
TERMINATE_SECONDS = 15.0
# A process whose parent is gone is collected by the first process of the machine, which may look for orphans
# once a second only. In a container it often never does: a zombie stays for ever, though it has ended.
SECONDS_TO_COLLECT = 4.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its pid and the moment it was started, as `named` reads it."""

    pid: int
    started: str

    @classmethod
    def named(cls, pid: int) -> Process:
        """The process that has this pid now. Raises psutil.NoSuchProcess.

        The moment is counted in clock ticks since the machine was started (proc(5), field 22 of `stat`), with
        the name of that start before it. A time of day would not do: it moves for all processes when the
        clock is set, as it is when a virtual machine goes on, and servers that run would count as gone.
        """
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError) as error:
            raise psutil.NoSuchProcess(pid) from error
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name in brackets may hold blanks and brackets of its own.
        return cls(pid, f"{boot}/{stat.rpartition(')')[2].split()[19]}")

    def found(self) -> psutil.Process | None:
        """This very process as long as it runs; a zombie or another one with its pid doesn't count."""
        try:
            process = psutil.Process(self.pid)
            same = Process.named(self.pid) == self
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.found() is not None


def works_in(pid: int, folder: Path) -> bool:
    """Whether a process works in this very folder; in a copy of it, or in one of the same name, none does."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path, mark: str) -> Process:
    """Start a command that goes on when we end: own session, no terminal, nothing inherited.

    Output goes to `log`; the log of the run before is kept beside it as `<name>.previous`.
    """
    if log.exists():
        log.replace(log.with_name(log.name + ".previous"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment) | {MARK: mark},
            cwd=log.parent,  # neither a prefect.toml nor a module in the user's folder may matter
            start_new_session=True,
            preexec_fn=_default_signals,
        )
    return Process.named(child.pid)


def end(mark: str) -> list[int]:
    """End every process that carries the mark and works beside it: SIGTERM, 15 seconds of patience, SIGKILL.

    Returns the pids that were ended.
    """
    marked = _marked(mark)
    for process in marked:
        _send(process, signal.SIGTERM)
    stubborn = wait_until_ended(marked, TERMINATE_SECONDS)
    # Asked again, because a server may have started a worker in the meantime.
    late = list({*stubborn, *_marked(mark)})
    for process in late:
        _send(process, signal.SIGKILL)
    wait_until_ended(late, TERMINATE_SECONDS)
    return sorted({process.pid for process in [*marked, *late]})


def wait_until_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of all of them, so many seconds at most; returns those that still live."""
    alive, deadline = list(processes), time.monotonic() + seconds
    while any(_lives(process) for process in alive) and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, timeout=0.1)  # which also collects our own children
    stubborn = [process for process in alive if _lives(process)]
    psutil.wait_procs(set(alive) - set(stubborn), timeout=SECONDS_TO_COLLECT)
    return stubborn


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # Without it a port counts as taken for a minute after its last connection was closed.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Who listens on a port, as words for a message; other users' processes can't be named."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "a process that can't be seen from here"


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and _belongs(process, mark):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue  # gone, a zombie, or another user's
    return found


def _belongs(process: psutil.Process, mark: str) -> bool:
    """Whether a process is what its mark says, here: not that of a home which ours is a copy of.

    A home that was moved keeps its processes; those of one that was deleted belong to whoever comes there.
    """
    carried: str = process.environ().get(MARK, "")
    if works_in(process.pid, Path(mark).parent):
        return Path(carried).name == Path(mark).name
    return carried == mark and str(Path(f"/proc/{process.pid}/cwd").readlink()).endswith(" (deleted)")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil asks first whether it is still the same


def _default_signals() -> None:
    # A background job of a script ignores SIGINT and hands that down; servers then miss signals.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
