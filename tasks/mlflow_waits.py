"""What a person hears while MLflow does not answer, and when it is given up.

Its client tries again by itself, in silence and for minutes; here the first of these attempts is said.
"""

from __future__ import annotations

import logging
import time

from tasks import visible

# For the environment: four more attempts with growing pauses are about half a minute.
BOUNDS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
SECONDS_BETWEEN_WORDS = 10.0


class _Words(logging.Handler):
    """Says that a request is being repeated, at most every ten seconds."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._said_at = -SECONDS_BETWEEN_WORDS

    def emit(self, record: logging.LogRecord) -> None:
        """urllib3 writes a line of debugging for each attempt after the first."""
        if "Incremented Retry" in record.msg and time.monotonic() >= self._said_at + SECONDS_BETWEEN_WORDS:
            self._said_at = time.monotonic()
            visible.say("  [yellow]MLflow does not answer; trying again for about half a minute[/]")


def say_so() -> None:
    """Say it from now on when MLflow is waited for; a second call changes nothing."""
    logger = logging.getLogger("urllib3.util.retry")
    if not any(isinstance(handler, _Words) for handler in logger.handlers):
        logger.addHandler(_Words())
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
