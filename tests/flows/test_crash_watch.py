"""The watch over a run: a run whose process is killed leaves nothing running, here and in Prefect."""

import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
# A run that starts a child in a session of its own, and what the watch does instead of asking Prefect.
RUN = """
    import os, subprocess, sys, time
    from flows import crash_watch
    watcher = crash_watch.begin("the-run")
    os.environ[crash_watch.MARK] = "the-run"
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(sleeping, stdout=subprocess.DEVNULL, start_new_session=True)
    print(watcher.pid, child.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_run_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # nobody is told
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN)], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert run.stdout
    watcher, child = (psutil.Process(int(pid)) for pid in run.stdout.readline().split())
    watcher.terminate()  # as a service manager does to all processes of a worker, one that only starts too
    run.kill()
    run.communicate()
    _, left = psutil.wait_procs([child, watcher], timeout=60)
    for process in left:
        process.kill()
    assert not left
