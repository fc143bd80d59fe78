"""Work that a stage hands to a child process: training, and cleaning on an engine.

A child is one of our modules run as `python -m MODULE JOB.json`. It says what it does in JSON lines on
its output: `progress`, `evaluation`, then `done` or `error`. It runs in its own process group and dies
with its parent; when the parent is cancelled the child gets time to write a checkpoint.

For several devices torchrun starts a process for each. They, and torchrun's own agent, meet in files in the
scratch directory: its usual store listens on every network interface and unpickles what it is sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model_code.parent_death_signal import die_with_parent
from tasks.contract.console import escaped
from tasks.contract.errors import StageError
from tasks.contract.workspace import Workspace

SECONDS_TO_CHECKPOINT = 15
SECONDS_FOR_TORCHRUN = 3
PROJECT_ROOT = Path(__file__).resolve().parents[2]

Event = dict[str, Any]


def _ignore(event: Event) -> None:
    pass


def run_child(
    module: str,
    job: dict[str, Any],
    what: str,
    workspace: Workspace,
    listen: Callable[[Event], None] = _ignore,
    processes: int = 1,
) -> Event:
    """Run the module on the job, show its progress, and return what its `done` line says.

    `listen` is told every event. With several `processes`, one for each device, torchrun starts them and all
    end when one does.

    Raises:
        StageError: the child reported an error, or ended without a result (with its last words).
    """
    job_file = workspace.scratch / "job.json"
    job_file.write_text(json.dumps(job, indent=2, default=str), encoding="utf-8")
    log_file, ranks = workspace.scratch / "child.log", workspace.scratch / "ranks"
    command, environment = [sys.executable, "-m", module, str(job_file)], _environment(workspace.store.home)
    if processes > 1:
        shutil.rmtree(ranks, ignore_errors=True)
        ranks.mkdir()
        command = _torchrun(ranks, processes) + command[1:]
        environment |= _meeting_in(ranks)
    with log_file.open("w", encoding="utf-8") as log, _child(command, environment, log) as child:
        assert child.stdout is not None
        with workspace.progress(what, total=1) as advance:
            for line in child.stdout:
                event = _event(line)
                listen(event)
                if event.get("event") == "progress":
                    advance(event.get("step", 0), note=_note(event), total=event.get("total", 1))
                elif event.get("event") == "resumed":
                    workspace.say(f"goes on from the checkpoint of step {event['step']} of {event['total']}")
                elif event.get("event") == "trouble":
                    workspace.say(f"[yellow]{escaped(event['message'])}[/]")
                elif event.get("event") == "error":
                    raise StageError(f"{workspace.stage}: {event['message']}")
                elif event.get("event") == "done":
                    return event
        code = child.wait()
    who = f"the process {module}"
    if processes > 1 and (failed := _failed_rank(log_file)):
        rank, code = failed
        who = f"rank {rank} of {processes} of {module}"
        log_file = next(ranks.glob(f"**/{rank}/stderr.log"), log_file)
    cause = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    raise StageError(
        f"{workspace.stage}: {who} {cause}; run again and it goes on from its last "
        f"checkpoint, if it wrote one. {_last_words(log_file)}"
    )


def _last_words(log_file: Path) -> str:
    with log_file.open(errors="replace", encoding="utf-8") as log:
        words = "".join(deque(log, maxlen=15))
    return f"Its last words:\n{words}" if words else "It said nothing."


def processes_for(devices: int) -> int:
    """How many processes train: `devices`, or where that is 0 one for each GPU, or one on the CPU."""
    if devices:
        return devices
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    # Asking torch would take seconds in a process that needs it for nothing else.
    gpus = list(Path("/dev").glob("nvidia[0-9]*")) if chosen is None else re.findall(r"[^,\s]+", chosen)
    return max(1, len(gpus))


def _torchrun(ranks: Path, processes: int) -> list[str]:
    options = {
        "nproc-per-node": processes,
        "rdzv-backend": "c10d",
        "rdzv-conf": "store_type=file",
        "rdzv-endpoint": ranks / "agent",
        "local-addr": "127.0.0.1",
        "shutdown-timeout": SECONDS_TO_CHECKPOINT,
        "log-dir": ranks,
        "redirects": 2,  # stderr, in a file for each rank
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "torch.distributed.run", *arguments]


def _meeting_in(ranks: Path) -> dict[str, str]:
    return {
        "RENDEZVOUS_FILE": str(ranks / "meeting"),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
    }


def _failed_rank(log: Path) -> tuple[int, int] | None:
    """The rank that failed first according to torchrun, and its exit code."""
    failures = re.findall(
        r"time +: (\S+)\n.*\n +rank +: (\d+) .*\n +exitcode +: (-?\d+) ",
        log.read_text(errors="replace", encoding="utf-8"),
    )
    if not failures:
        return None

    def is_consequence(code: int) -> bool:
        # The others fail because they miss the first, and torchrun sends them SIGTERM.
        return code > 0 or code == -signal.SIGTERM

    # Its root cause is the last in its list; of one second it knows no order, and lists times in seconds.
    _, rank, code = min(reversed(failures), key=lambda failure: (failure[0], is_consequence(int(failure[2]))))
    return int(rank), int(code)


def _environment(home: Path) -> dict[str, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), *_python_path()]),
        # Libraries iterate over sets of strings; with the seed fixed they do so in one order.
        "PYTHONHASHSEED": "0",
    }
    if not os.access(PROJECT_ROOT / "tasks", os.W_OK):
        # Compiled functions are kept beside their code, or where that can't be written, with the store.
        environment.setdefault("NUMBA_CACHE_DIR", str(home / "compiled"))
    return environment


@contextlib.contextmanager
def _child(command: list[str], environment: dict[str, str], log: Any) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=die_with_parent,
        encoding="utf-8",
    )
    try:
        yield child
    except BaseException:
        _end(child)
        raise
    finally:
        if child.stdout:
            child.stdout.close()
        _end(child, patience=60)


def _end(child: subprocess.Popen[str], patience: float = 0) -> None:
    """End the child and everything in its group: at once, or after some patience."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(patience)
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(SECONDS_TO_CHECKPOINT + SECONDS_FOR_TORCHRUN)
            return


def _python_path() -> list[str]:
    return [path for path in [os.environ.get("PYTHONPATH")] if path]


def _event(line: str) -> Event:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _note(event: Event) -> str:
    parts = [event["phase"]] if "phase" in event else []
    if rate := event.get("bytes_per_second"):
        parts.append(f"{rate / 1e6:,.1f} MB/s")
    if (loss := event.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (norm := event.get("gradient_norm")) is not None:
        parts.append(f"gradient {norm:.2g}")
    if rate := event.get("tokens_per_second"):
        parts.append(f"{rate:,.0f} tokens/s")
    if (mfu := event.get("mfu")) is not None:
        parts.append(f"MFU {mfu:.0%}")
    if memory := event.get("memory_bytes"):
        parts.append(f"{memory / 2**30:.1f} GiB")
    return "  ".join(parts)
