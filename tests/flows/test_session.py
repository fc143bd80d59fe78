"""What a run tells Prefect, which keeps it."""

import logging

import pytest

from flows.session import _keep_no_tracebacks


class Kept(logging.Handler):
    """What a handler of Prefect's would send to its server."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_neither_tracebacks_nor_credentials_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    logger, kept = logging.getLogger("prefect.task_runs"), Kept()
    monkeypatch.setattr(logger, "handlers", [kept])
    _keep_no_tracebacks()
    try:
        raise ValueError("The zebra whispered")
    except ValueError:
        logger.exception("failed at %s", "http://me:word@127.0.0.1:5000/a")
    assert kept.lines == ["failed at http://127.0.0.1:5000/a"]
