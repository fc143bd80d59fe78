"""A child that asked for it dies with its killed parent; another one goes on."""

import subprocess
import sys
from pathlib import Path

import psutil

PARENT = """
import subprocess, sys
from model_code.parent_death_signal import die_with_parent
for ask in (die_with_parent, None):
    print(subprocess.Popen(["sleep", "60"], preexec_fn=ask).pid, flush=True)
sys.stdin.readline()
"""


def test_a_child_dies_with_its_killed_parent_if_it_asked_for_it() -> None:
    pipe, root = subprocess.PIPE, Path(__file__).parents[2]
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True, encoding="utf-8") as parent:
        assert parent.stdout is not None
        asked, other = (psutil.Process(int(parent.stdout.readline())) for _ in range(2))
        parent.kill()
        try:
            assert psutil.wait_procs([asked], timeout=20)[1] == []
            assert other.is_running()
        finally:
            other.kill()
