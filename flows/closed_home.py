"""The home belongs to one user: no other user of the machine reads what is in it, whatever the umask says.

It holds text before it was masked, models, databases and keys.
"""

import os
import stat
from pathlib import Path

from flows import settings

PRIVATE_UMASK = 0o077
# What textmill keeps in a home (docs/operations.md says what each is).
FOLDERS = {
    *("artifacts", "cache", "checkpoints", "collected", "compiled", "downloads", "found", "locks"),
    *("mlflow", "prefect", "runs", "scratch", "servers", "triton"),
}


def close() -> Path:
    """Make the home if it is not there; from now on, what this process and its children write is private.

    A folder that holds nothing but what textmill keeps becomes private itself. One that the user has chosen
    and that holds other things too, or is for all users (as an empty /tmp), keeps its mode, and textmill's
    folders in it become private instead. What belongs to another user stays as it is.
    """
    os.umask(PRIVATE_UMASK)
    home = settings.home()
    home.mkdir(parents=True, exist_ok=True)
    found = {path.name for path in home.iterdir()}
    is_ours = found <= FOLDERS and not home.stat().st_mode & stat.S_ISVTX
    for folder in [home] if is_ours else [home / name for name in found & FOLDERS]:
        status = folder.stat()
        if status.st_uid == os.geteuid() and status.st_mode & PRIVATE_UMASK:
            folder.chmod(0o700)
    return home
