"""What has ended is not waited for, whoever has to collect it."""

import subprocess
import sys
import time

import psutil

from deploy import processes
from deploy.processes import wait_until_ended

# A parent that never collects its child, as the first process of many containers.
NEGLECTFUL = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid, flush=True)
input()
"""


def test_a_zombie_has_ended_and_a_sleeper_has_not():
    parent = subprocess.Popen(
        [sys.executable, "-c", NEGLECTFUL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        child = psutil.Process(int(parent.stdout.readline()))
        started = time.monotonic()
        assert wait_until_ended([child], 0.2) == [child]
        assert time.monotonic() - started < processes.SECONDS_TO_COLLECT  # there is nothing to be collected
        child.kill()
        started = time.monotonic()
        assert wait_until_ended([child], 20) == []
        assert time.monotonic() - started < 10
        assert child.status() == psutil.STATUS_ZOMBIE
    finally:
        parent.kill()
        parent.communicate()
    assert wait_until_ended([child], 0) == []
