"""What a person hears while MLflow or Prefect does not answer, and when MLflow is given up.

Their clients try again by themselves, in silence and for minutes. Here an attempt that failed is said at
once, and a call that has no end yet after ten seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from tasks.contract import console

# For the environment: four more attempts with growing pauses are about half a minute.
BOUNDS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
SECONDS_BETWEEN_WORDS = 10.0
# The loggers that get a line of debugging for each failed attempt, and what is in it.
ATTEMPTS = {
    "MLflow": ("urllib3.util.retry", "Incremented Retry"),
    "Prefect": ("prefect.client", "Another attempt will be made"),
}


class _RetryNotice(logging.Filter):
    """Says that a request is being repeated, at most every ten seconds."""

    def __init__(self, server: str, sign: str, level: int) -> None:
        super().__init__()
        self._server, self._sign, self._level = server, sign, level
        self._said_at = -SECONDS_BETWEEN_WORDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Called for each line of the logger; its handlers get those that they got before."""
        if self._sign in str(record.msg) and time.monotonic() >= self._said_at + SECONDS_BETWEEN_WORDS:
            self._said_at = time.monotonic()
            console.console.print(f"  [yellow]{self._server} does not answer; trying again[/]")
        return record.levelno >= self._level


def say_attempts(server: str) -> None:
    """Say from now on when a request to "MLflow" or "Prefect" failed; a second call changes nothing."""
    name, sign = ATTEMPTS[server]
    logger = logging.getLogger(name)
    if not any(isinstance(known, _RetryNotice) for known in logger.filters):
        logger.addFilter(_RetryNotice(server, sign, logger.getEffectiveLevel()))
        logger.setLevel(logging.DEBUG)


@contextmanager
def said(what: str) -> Iterator[None]:
    """Say what is waited for when the block takes longer than ten seconds."""
    words = f"  [yellow]waiting for {console.escaped(what)}[/]"
    timer = threading.Timer(SECONDS_BETWEEN_WORDS, console.console.print, [words])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class SaysWaiting:
    """A client whose calls are `said` when they take long."""

    def __init__(self, client: Any, server: str) -> None:
        self._client, self._server = client, server

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return _said_call(found, f"{self._server} ({name})") if callable(found) else found


def _said_call(call: Callable[..., Any], what: str) -> Callable[..., Any]:
    @wraps(call)
    def saying(*arguments: Any, **named: Any) -> Any:
        with said(what):
            return call(*arguments, **named)

    return saying
