"""The home: whether it can be used, found out before anything else is done, and that it is one user's own.

It holds text before it was masked, models, databases and keys: no other user of the machine reads what is in
it, whatever the umask says.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from pathlib import Path

from flows import environment
from tasks.contract.errors import RecipeError

PRIVATE_UMASK = 0o077
# What textmill keeps in a home (docs/operations.md says what each is).
FOLDERS = {
    *("artifacts", "cache", "checkpoints", "collected", "compiled", "downloads", "locks", "mlflow"),
    *("prefect", "runs", "scratch", "servers", "triton", "tuning"),
    "found",  # where `textmill tune` kept its pictures before
}
TRIAL_BYTES = 4096
# Our records and the servers' command lines and settings have one value to a line.
READ_OTHERWISE = re.compile(r"\?|%[0-9A-Fa-f]{2}")  # in addresses: they would write beside the home
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
REASONS = {
    errno.ENOTDIR: "a file is in the way",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.ELOOP: "a link leads to itself",
}


def check(*, writes: bool) -> Path:
    """The home, tried out; nothing stays of the trial.

    Args:
        writes: whether there must be room in it, too. Without, a home that is full or read-only will do,
            since looking and clearing away must go on then.

    Raises:
        RecipeError: it can't be made or used; with its path, the reason and the way out.
    """
    named = os.environ.get("TEXTMILL_HOME")
    shown = named or ".textmill"
    try:
        home = environment.home()
        shown = str(home)
        os.fsencode(shown).decode()
        if CONTROL.search(shown) or shown != shown.strip() or (named and named != named.strip()):
            raise RuntimeError("it has a line end in it, or blanks around it")
        if READ_OTHERWISE.search(shown):
            raise RuntimeError(
                "it has a ? or a % with two digits in it, which Prefect and MLflow read otherwise"
            )
        _try(home, writes=writes)
    except (OSError, RuntimeError, UnicodeError) as error:
        raise RecipeError(
            f"the home {_printable(shown)} can't be used: {_reason(error)}; set TEXTMILL_HOME to a folder "
            "that you may write to; nothing was started"
        ) from None
    return home


def make_private() -> Path:
    """Make the home if it is not there; from now on, what this process and its children write is private.

    A folder that holds nothing but what textmill keeps becomes private itself. One that the user has chosen
    and that holds other things too, or is for all users (as an empty /tmp), keeps its mode, and textmill's
    folders in it become private instead. What belongs to another user stays as it is.
    """
    os.umask(PRIVATE_UMASK)
    home = environment.home()
    home.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in home.iterdir()}
    is_ours = names <= FOLDERS and not home.stat().st_mode & stat.S_ISVTX
    for folder in [home] if is_ours else [home / name for name in names & FOLDERS]:
        status = folder.stat()
        if status.st_uid == os.geteuid() and status.st_mode & PRIVATE_UMASK:
            folder.chmod(0o700)
    return home


def _try(home: Path, *, writes: bool) -> None:
    if home.is_dir():
        os.scandir(home).close()
        if writes:
            with tempfile.TemporaryFile(dir=home) as trial:
                trial.write(bytes(TRIAL_BYTES))
                trial.flush()
        return
    if home.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(home))
    ancestor = next(parent for parent in home.parents if parent.exists())
    Path(tempfile.mkdtemp(prefix=".textmill-", dir=ancestor)).rmdir()


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "its path is no UTF-8"
    if isinstance(error, OSError):
        return REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
    return str(error).partition(":")[0].lower()  # `~` of nobody, a link that leads to itself


def _printable(path: str) -> str:
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return repr(text) if CONTROL.search(text) or text != text.strip() else text
