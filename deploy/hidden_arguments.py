"""Start a program with arguments that no other user of the machine can read.

Triton takes its key as an argument only, and `/proc/PID/cmdline` shows everybody every argument. What it
shows is one stretch of the program's memory; the program itself reads its arguments through pointers. So the
hidden ones are passed as environment variables, whose memory (`/proc/PID/environ`) only the owner may read,
and `PLACEHOLDER` stands in the command line. The child asks to be traced and so stops before its first
instruction; then the pointers to the placeholders are set to the values of the variables, and the pointers to
the variables to another variable, so that nothing that the program starts inherits them.

A child that could not be traced meets the placeholder, an option that it doesn't know, and ends.

Linux only: the initial stack (argc, argv, NULL, envp, NULL) is at the field `startstack` of `/proc/PID/stat`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.errors import TritonError

PLACEHOLDER = "--hidden"
TRACEME, DETACH = 0, 17  # of <sys/ptrace.h>
POINTER_BYTES = struct.calcsize("P")


def spawn(
    command: Sequence[str | Path], hidden: Sequence[str], environment: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Start `command` with the arguments `hidden` after its own.

    Args:
        environment: the child's whole environment, at least one variable.
        options: further arguments of `subprocess.Popen`.

    Raises:
        TritonError: tracing is forbidden here, so the arguments can't be hidden; nothing runs then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    variables = {f"HIDDEN_{index}": argument for index, argument in enumerate(hidden)}
    process = subprocess.Popen(
        [*command, *[PLACEHOLDER] * len(hidden)],
        env={**environment, **variables},
        preexec_fn=lambda: libc.ptrace(TRACEME, 0, None, None),
        **options,
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise PermissionError("the process could not be stopped before its start")
        _move_pointers(process.pid, len(command), len(environment), list(variables))
        if libc.ptrace(DETACH, process.pid, None, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except (OSError, ValueError) as error:
        process.kill()
        process.wait()
        raise TritonError(
            f"Triton's key can't be hidden from other users of this machine ({error}), so Triton is not "
            "started: ptrace must be allowed (a container may need --cap-add=SYS_PTRACE)"
        ) from error
    return process


def _move_pointers(pid: int, arguments: int, variables: int, hidden: Sequence[str]) -> None:
    """Let the last `len(hidden)` arguments point at the values of the last variables of the environment."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    stack = int(after_name.split()[25])
    count = arguments + len(hidden)
    first_argument, first_variable = stack + POINTER_BYTES, stack + POINTER_BYTES * (count + 2)
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:

        def read(address: int) -> int:
            memory.seek(address)
            return int(struct.unpack("P", memory.read(POINTER_BYTES))[0])

        def write(address: int, pointer: int) -> None:
            memory.seek(address)
            memory.write(struct.pack("P", pointer))

        if read(stack) != count:
            raise ValueError("the initial stack is not where it should be")
        for index, name in enumerate(hidden):
            variable = first_variable + POINTER_BYTES * (variables + index)
            write(first_argument + POINTER_BYTES * (arguments + index), read(variable) + len(f"{name}="))
            write(variable, read(first_variable))
