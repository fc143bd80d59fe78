"""A small process that keeps Triton and its endpoints answering, from `textmill up` to `textmill down`.

Triton may die of a request (the bundled release has such holes), a model's process of a lack of memory, and
nobody may be there to give `textmill up` again. Every second this looks whether Triton lives, every few
whether each endpoint answers from its version, and does what `up` would. It ends when Triton is ended by us.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from corpus.atomic import whole_file
from deploy import client, live, repository, triton_server
from flows import endpoints, environment, servers
from flows.supervision import folder, repairs

SECOND, LOOKS_BETWEEN_QUESTIONS = 1.0, 3
SILENT_LOOKS = 15  # without an answer from Triton itself, after which it is started anew
MEMORY_SHARE = 0.8  # of the machine's, that Triton and its models may hold together
LONGEST_PAUSE = 60.0  # seconds before another start, of a server that dies again and again


def watch() -> None:
    """Look and repair until Triton's record is gone, as `textmill down` leaves it."""
    home, silent, wrong, starts = environment.home() / "triton", 0, set[str](), list[float]()
    for look in _every_second():
        recorded = triton_server.recorded(home)
        if recorded is None:
            return
        server = triton_server.find(home)
        silent = 0 if server else silent + 1
        if not triton_server.lives(home):
            _start("Triton's process was gone", recorded, starts)
        elif silent > SILENT_LOOKS:
            _start("Triton did not answer", recorded, starts)
        elif (held := _memory(recorded.pid)) > MEMORY_SHARE:
            _start(f"Triton held {held:.0%} of the memory", recorded, starts)
        elif server and look % LOOKS_BETWEEN_QUESTIONS == 0:
            found = {name for name in live.endpoints(Path(server.repository)) if _is_wrong(name, server)}
            if again := sorted(found & wrong):  # twice: a deployment may be about to switch
                _repair(f"{', '.join(again)} did not answer from its version", home)
            wrong = found


def _every_second() -> Iterator[int]:
    look = 0
    while True:
        time.sleep(SECOND)
        yield look
        look += 1


def _is_wrong(name: str, server: triton_server.TritonServer) -> bool:
    version = repository.pinned_version(Path(server.repository), name)
    return client.ready_version(name, http_port=server.http_port) != version


def _memory(pid: int) -> float:
    """The share of the machine's memory that a process and its children hold."""
    import psutil

    held = 0
    with suppress(psutil.Error):
        server = psutil.Process(pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.Error):
                held += process.memory_info().rss
    return held / float(psutil.virtual_memory().total)


def _start(what: str, recorded: triton_server.TritonServer, starts: list[float]) -> None:
    """Start Triton anew where it was; the oftener it had to be lately, the later."""
    for kind in ("http", "grpc", "metrics"):
        variable = environment.port_variable(f"triton_{kind}")
        os.environ[variable] = str(getattr(recorded, f"{kind}_port"))

    recent = [moment for moment in starts if time.monotonic() - moment < 10 * LONGEST_PAUSE]
    time.sleep(min(LONGEST_PAUSE, 2 ** len(recent) - 1))
    starts[:] = [*recent, time.monotonic()]
    with _told(what):
        servers.start_triton_again()


def _repair(what: str, home: Path) -> None:
    with _told(what):
        endpoints.restore_and_report(home)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Write down what is repaired. What can't be is tried again at the next look."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    print(f"{when} {what}", flush=True)
    try:
        yield
    except Exception as error:
        print(f"{when} it could not be repaired: {error}", flush=True)
        return
    with whole_file(repairs()) as fresh:
        fresh.write_text(json.dumps({"what": what, "when": when, "times": _times() + 1}), encoding="utf-8")


def _times() -> int:
    with suppress(OSError):
        return int(json.loads(repairs().read_text(encoding="utf-8"))["times"])
    return 0


def main() -> None:
    """`python -m flows.supervisor`, in the environment of the home."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder() / ".supervisor.lock", timeout=0):
            repairs().unlink(missing_ok=True)
            watch()
    except Timeout:  # somebody watches
        return


if __name__ == "__main__":
    main()
