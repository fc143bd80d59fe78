"""What to say when a disk refuses: where, why, and what a person can do about it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def explain(error: OSError, home: Path) -> str:
    """One sentence about an error of the file system, with the place and the way out."""
    where = error.filename or home
    if error.errno in FULL:
        return (
            f"the disk is full while writing {where} ({_free(home)} MiB free below {home}); free some space "
            "(`textmill gc` removes old artifacts) or set TEXTMILL_HOME to another disk, and run again"
        )
    if error.errno in FORBIDDEN:
        return (
            f"no permission to write {where}; make it writable or set TEXTMILL_HOME to a folder of your own, "
            "and run again"
        )
    return f"{where}: {error.strerror or error}"


def cause(error: BaseException) -> OSError | None:
    """The error of the file system that another error comes from: libraries wrap it in their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (*FULL, *FORBIDDEN):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _free(home: Path) -> int:
    try:
        return shutil.disk_usage(home).free // 2**20
    except OSError:
        return 0
