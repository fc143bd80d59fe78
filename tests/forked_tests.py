"""Runs test files again and again, each time in a fork of a process that has loaded the libraries already.

Starting Python, pytest and torch takes ten times as long as most tests do. Reads a line `LIMIT FILE` for each
run (seconds, a test file) and answers with a line: 0 where the tests pass, and the seconds that it took. From
a run without a limit (0) it learns what to load. Our own modules are loaded anew in every fork.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

LOG = "tests.log"  # what the last run printed
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
OURS = {path.stem for path in Path.cwd().iterdir()} | {"__main__", "conftest"}


def run(file: str, limit: int) -> int:
    """The status of a process that ran the tests of a file; too long a run is a failure too."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        signal.alarm(limit)
        sys.dont_write_bytecode = bool(limit)  # of a mutant it could be taken for that of the module
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(target, stream)
        code = int(pytest.main([*OPTIONS, file]))
        sys.stdout.flush()
        if not limit:
            os.write(writing, "\n".join(sys.modules).encode())
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as names:
        learned = names.read().split()
    status = os.waitpid(child, 0)[1]
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests started and left
    for name in learned:
        if name.partition(".")[0] not in OURS:
            with suppress(Exception):
                importlib.import_module(name)
    return status


for line in sys.stdin:
    seconds, path = line.split()
    begin = time.monotonic()
    outcome = run(path, int(seconds))
    print(outcome, time.monotonic() - begin, flush=True)
