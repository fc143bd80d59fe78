"""A run that is killed is marked as crashed in Prefect within seconds.

Who kills a run's process (a worker that is told to end, the kernel for want of memory) says nothing to the
server: the run would stay Running there, and hold the one place of its deployment, for minutes. So a small
process of its own waits for the end of the run's process, and tells.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent
# A service manager sends these to all processes of a worker.
UNHEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# In the environment of everything that a run starts: the id of its flow run.
MARK = "TEXTMILL_FLOW_RUN"


def begin(flow_run: str) -> subprocess.Popen[bytes]:
    """Start to watch this process, which is the run's; end what is returned when the run ends by itself."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # The watcher inherits the mask, so it is deaf from its first moment on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.crash_watch", flow_run, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def crash(flow_run: str) -> None:
    """Give a run whose process is gone its end in Prefect, with the flows and tasks that ran in it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    crashed: Any = Crashed(message="The process of this run was killed.")
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(flow_run))
        except ObjectNotFound:
            return  # of another home's Prefect server
        parts = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [run.id]}})
        )
        ids = [one.id for one in (run, *parts)]
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": ids}}),
        )
        for task in tasks:
            if task.state is None or not task.state.is_final():
                client.set_task_run_state(task.id, crashed, force=True)
        for one in (*parts, run):
            if one.state is None or not one.state.is_final():
                client.set_flow_run_state(one.id, crashed, force=True)


def end_remains(flow_run: str) -> None:
    """End what the run's process started and left behind: workers of a cleaning, for example."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == flow_run:
                process.kill()


def main() -> None:
    """Wait until the process is gone: `python -m flows.crash_watch FLOW_RUN PID`."""
    flow_run, pid = sys.argv[1], int(sys.argv[2])
    for number in UNHEARD:
        signal.signal(number, signal.SIG_IGN)
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        pass
    else:
        if os.getppid() == pid:
            select.select([process], [], [])
    end_remains(flow_run)
    crash(flow_run)


if __name__ == "__main__":
    main()
