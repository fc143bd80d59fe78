"""MLflow's own clients in any process of this environment log in at our server by themselves.

MLflow loads this with every import, through the entry point `mlflow.request_header_provider`, so that three
lines without a password open a registered model. The key is sent to nobody but the process that
listens at the address of the request, is ours, and was started as a textmill server: after `textmill down`
anybody may listen on that port.
"""

import os
import sys
import time
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from deploy.processes import LOOPBACK, MARK, Process

LOOK_AGAIN_SECONDS = 10.0


class Provider:
    """What MLflow asks for headers at every request."""

    def __init__(self) -> None:
        self._homes: dict[int, tuple[Process, Path]] = {}  # by port
        self._nothing_until: dict[int, float] = {}

    def in_context(self) -> bool:
        """Whether there is something to add; what the user has set for MLflow's clients goes first."""
        theirs = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH")
        return not any(os.environ.get(name) for name in theirs)

    def request_headers(self) -> dict[str, str]:
        """The header that logs in, for a request to one of our servers; none for others."""
        address = urlsplit(_host_of_request())
        # Not `localhost`: it may lead to ::1, where we don't listen and another user may.
        if address.scheme != "http" or address.hostname != LOOPBACK or not address.port:
            return {}
        from flows import login

        home = self._home(address.port)
        return login.header(home) if home else {}

    def _home(self, port: int) -> Path | None:
        """The home of the server that listens on a port; it keeps the port as long as it lives."""
        known = self._homes.get(port)
        if known and known[0].is_alive():
            return known[1]
        if time.monotonic() < self._nothing_until.get(port, 0):
            return None
        if found := _listening(port):
            self._homes[port] = found
            return found[1]
        self._nothing_until[port] = time.monotonic() + LOOK_AGAIN_SECONDS
        return None


def _host_of_request() -> str:
    """MLflow does not tell a provider where the request goes, so it is looked up in the caller.

    The tracking address would not do: a client may have been given another one.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "http_request" and "host_creds" in frame.f_locals:
            return str(frame.f_locals["host_creds"].host)
        frame = frame.f_back
    return ""


def _listening(port: int) -> tuple[Process, Path] | None:
    """Our process that listens on a loopback port, and its home; None: it is somebody else's."""
    import psutil

    for process in psutil.process_iter():
        try:
            if process.uids().effective != os.geteuid() or not (mark := process.environ().get(MARK)):
                continue
            listens = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
            if port in listens:
                return Process.named(process.pid), Path(mark).parents[1]
        except (psutil.Error, OSError):
            continue  # gone, or another user's
    return None
