"""Triton is watched by a process of its own, `flows/supervisor.py`: how that is begun, and what it repaired.

`TEXTMILL_SUPERVISOR=off` does without, where something else sees to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from flows import environment

ROOT = Path(__file__).resolve().parent.parent
SWITCH = "TEXTMILL_SUPERVISOR"


def is_on() -> bool:
    """Whether servers are to be watched."""
    return os.environ.get(SWITCH, "on") != "off"


def begin() -> None:
    """Start to watch the Triton of this home, unless somebody does."""
    if not is_on():
        return
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    log = folder() / "supervisor.log"
    log.touch(mode=0o600)
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "flows.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder(),
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )


def last_repair() -> str:
    """What was repaired last and when, in words; "" where nothing was."""
    try:
        known = json.loads(repairs().read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return ""
    times = f" ({known['times']} repairs since `textmill up`)" if known["times"] > 1 else ""
    return f"repaired {known['when']}: {known['what']}{times}"


def repairs() -> Path:
    """Where the supervisor writes down what it repaired."""
    return folder() / "supervisor.json"


def folder() -> Path:
    """Where its log, its lock and that file are."""
    return environment.home() / "servers"
