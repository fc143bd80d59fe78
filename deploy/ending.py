"""Whether processes have ended, also where nobody collects what is left of them.

A process whose parent is gone is collected by the first process of the machine. In a container that is often
one which doesn't: the process then stays as a zombie for ever, though it has ended.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil

SECONDS_TO_COLLECT = 4.0  # the first process may look for orphans once a second only


def wait_until_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of all of them, so many seconds at most; returns those that still live."""
    alive, deadline = list(processes), time.monotonic() + seconds
    while any(_lives(process) for process in alive) and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, timeout=0.1)  # which also collects our own children
    psutil.wait_procs(alive, timeout=SECONDS_TO_COLLECT)
    return [process for process in alive if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
