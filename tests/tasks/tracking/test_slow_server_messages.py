"""A server that hangs or has gone is said before its client gives up."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from prefect.client.base import PrefectHttpxSyncClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.tracking import slow_server_messages


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name, _ in slow_server_messages.ATTEMPTS.values()]
    before = [(logger.level, list(logger.filters)) for logger in loggers]
    yield
    for logger, (level, filters) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.filters[:] = filters


def test_a_hanging_mlflow_is_said(
    silent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slow_server_messages, "SECONDS_BETWEEN_WORDS", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = slow_server_messages.SaysWaiting(MlflowClient(silent), "MLflow")
    with pytest.raises(MlflowException):
        client.get_experiment_by_name("any")
    assert capsys.readouterr().out == "  waiting for MLflow (get_experiment_by_name)\n"


def test_a_quick_call_is_not_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slow_server_messages, "SECONDS_BETWEEN_WORDS", 0.05)
    assert slow_server_messages.SaysWaiting("text", "MLflow").upper() == "TEXT"
    with pytest.raises(AttributeError):
        slow_server_messages.SaysWaiting("text", "MLflow").nothing_like_this  # noqa: B018
    assert capsys.readouterr().out == ""


def test_an_mlflow_that_has_gone_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    for _ in range(2):  # the second time adds nothing
        slow_server_messages.say_attempts("MLflow")
    with pytest.raises(MlflowException):
        MlflowClient(gone).get_experiment_by_name("any")
    assert capsys.readouterr().out == "  MLflow does not answer; trying again\n"


def test_a_prefect_that_hangs_is_said(silent: str, capsys: pytest.CaptureFixture[str]) -> None:
    slow_server_messages.say_attempts("Prefect")
    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1})
    client = PrefectHttpxSyncClient(base_url=silent, timeout=0.3)
    with once, client, pytest.raises(httpx.TimeoutException):
        client.get("/health")
    assert "  Prefect does not answer; trying again\n" in capsys.readouterr().out


def test_other_handlers_hear_what_they_heard_before(caplog: pytest.LogCaptureFixture) -> None:
    slow_server_messages.say_attempts("MLflow")
    logger = logging.getLogger("urllib3.util.retry")
    caplog.set_level(logging.DEBUG, logger="")
    logger.debug("Incremented Retry for (url='%s'): %r", "/", 1)
    logger.warning("of interest")
    assert [record.getMessage() for record in caplog.records] == ["of interest"]
