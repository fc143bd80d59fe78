"""A process that ends when the one that started it does, however that one ended.

Without it a killed parent leaves its children behind, with the memory and the devices that they hold.
"""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """Ask the kernel to kill this process once its parent is gone; call it in the child (as `preexec_fn`)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
