"""What a run tells Prefect, which keeps it."""

import asyncio
import logging

import pytest
from prefect.logging.handlers import APILogWorker

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


def test_a_prefect_that_takes_no_logs_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(logging.getLogger("prefect.task_runs"), "handlers", [])
    _keep_no_tracebacks()
    asyncio.run(APILogWorker._handle_batch(object(), [{}]))  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""
