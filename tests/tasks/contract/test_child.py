"""Children: their progress is relayed, their errors are said, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tasks.contract import console
from tasks.contract.child import run_child
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.contract.workspace import Workspace

ROOT = Path(__file__).parents[3]
CHILD = """
import json, os, pathlib, signal, sys, time
job = json.loads(pathlib.Path(sys.argv[1]).read_text())

def say(**event):
    print(json.dumps(event), flush=True)

say(event="progress", step=1, total=4, loss=2.5, tokens_per_second=1234.0)
print("a library talks", flush=True)
print("[1, 2]", flush=True)
say(event="progress", step=3, total=4, phase="cleaning", bytes_per_second=12.34e6)
print("last words", file=sys.stderr, flush=True)
match job["ends"]:
    case "done": say(event="done", metrics={"loss": 0.5})
    case "error": say(event="error", message="the loss is not a number"); sys.exit(1)
    case "killed": os.kill(os.getpid(), signal.SIGKILL)
    case "silent": sys.exit(3)
    case "stays":
        def stop(number, frame):
            pathlib.Path(job["checkpoint"]).write_text("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        pathlib.Path(job["pid"]).write_text(str(os.getpid()))
        while True:
            time.sleep(0.05)
"""
RANKS = """
import os, pathlib, signal, sys
from model_code.training.ranks import join_ranks
ranks = join_ranks()
print("last words of", ranks.rank, file=sys.stderr, flush=True)
stop = []
signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
pathlib.Path(sys.argv[1]).with_name(f"pid-{ranks.rank}").write_text(str(os.getpid()))
while not ranks.sum_of([len(stop)])[0]:
    pass
pathlib.Path(sys.argv[1]).with_name(f"checkpoint-{ranks.rank}").write_text("saved")
"""
PARENT = """
import sys
from pathlib import Path
from tasks.contract.child import run_child
from tasks.contract.workspace import Workspace
from tasks.contract.store import Store
home, module, processes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
job = {"ends": "stays", "pid": home / "pid", "checkpoint": home / "checkpoint"}
workspace = Workspace("pretrain", "k" * 64, Store(home), home)
run_child(module, job, "training", workspace, processes=processes)
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose children find the modules `trainer` and `ranks`."""
    (tmp_path / "trainer.py").write_text(CHILD, encoding="utf-8")
    (tmp_path / "ranks.py").write_text(RANKS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Workspace("pretrain", "k" * 64, Store(tmp_path), tmp_path)


def test_progress_is_relayed_and_the_result_returned(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    done = run_child("trainer", {"ends": "done"}, "training", workspace)
    assert done == {"event": "done", "metrics": {"loss": 0.5}}
    first, second = capsys.readouterr().out.splitlines()
    assert first == "  training: 1 of 4  loss 2.500  1,234 tokens/s"
    assert second.startswith("  training: 3 of 4, about ")
    assert second.endswith("s left  cleaning  12.3 MB/s")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("error", r"^pretrain: the loss is not a number$"),
        ("killed", r"^pretrain: the process trainer was killed by SIGKILL; (.|\n)*last words"),
        ("silent", r"^pretrain: the process trainer ended with code 3; (.|\n)*last words"),
    ],
)
def test_how_a_child_failed_is_said(workspace: Workspace, ends: str, said: str) -> None:
    with pytest.raises(StageError, match=said):
        run_child("trainer", {"ends": ends}, "training", workspace)


def start_parent(
    workspace: Workspace, module: str = "trainer", processes: int = 1
) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
    """A process that waits for its child, and everything below it, once that is at work."""
    home = workspace.directory
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), str(ROOT)])}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(home), module, str(processes)],
        env=environment,
        stderr=subprocess.PIPE,
        # A background job of a script ignores SIGINT, and hands that down.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    pids = [home / "pid"] if processes == 1 else [workspace.scratch / f"pid-{i}" for i in range(processes)]
    while not all(pid.exists() and pid.read_text(encoding="utf-8") for pid in pids):
        assert parent.poll() is None, parent.communicate()
        time.sleep(0.02)
    return parent, psutil.Process(parent.pid).children(recursive=True)


def test_child_dies_with_a_killed_parent(workspace: Workspace) -> None:
    parent, children = start_parent(workspace)
    parent.kill()
    parent.communicate()
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert not (workspace.directory / "checkpoint").exists()


def test_child_writes_its_checkpoint_when_the_parent_is_interrupted(workspace: Workspace) -> None:
    parent, children = start_parent(workspace)
    parent.send_signal(signal.SIGINT)
    _, error = parent.communicate()
    assert b"KeyboardInterrupt" in error
    assert not any(child.is_running() for child in children)
    assert (workspace.directory / "checkpoint").read_text(encoding="utf-8") == "saved"


def test_ranks_are_on_this_machine_only_and_a_dead_one_is_named(workspace: Workspace) -> None:
    parent, children = start_parent(workspace, "ranks", processes=2)
    open_to = {c.laddr.ip for child in children for c in child.net_connections() if c.status == "LISTEN"}
    assert open_to == {"127.0.0.1"}
    os.kill(int((workspace.scratch / "pid-1").read_text(encoding="utf-8")), signal.SIGKILL)
    started = time.monotonic()
    _, error = parent.communicate()
    assert time.monotonic() - started < 60
    assert b"StageError: pretrain: rank 1 of 2 of ranks was killed by SIGKILL; run again" in error
    assert b"last words of 1" in error
    assert psutil.wait_procs(children, timeout=20)[1] == []


@pytest.mark.parametrize(("sent", "saved"), [(signal.SIGKILL, 0), (signal.SIGINT, 2)])
def test_ranks_end_with_their_parent(workspace: Workspace, sent: signal.Signals, saved: int) -> None:
    parent, children = start_parent(workspace, "ranks", processes=2)
    assert len(children) == 3
    parent.send_signal(sent)
    parent.communicate()
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert len(list(workspace.scratch.glob("checkpoint-*"))) == saved
