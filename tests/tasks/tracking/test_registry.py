"""What is concluded from an MLflow that can't do its work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tasks.contract.errors import ServerError
from tasks.tracking.registered_name import check_name
from tasks.tracking.registry import by_alias, by_version, client, refusal
from tasks.tracking.runs import find_or_create_run


class Broken(BaseHTTPRequestHandler):
    """Healthy, and every other answer is 500: a server whose disk is full."""

    def do_GET(self) -> None:
        body = b"OK" if self.path == "/health" else b"Internal Server Error"
        self.send_response(200 if body == b"OK" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield client()
        server.shutdown()


@pytest.mark.parametrize(
    "ask",
    [
        lambda mlflow: by_version(mlflow, "m", 1),  # None would mean that somebody deleted it
        lambda mlflow: by_alias(mlflow, "m", "champion"),
    ],
)
def test_a_version_that_can_not_be_read_is_not_a_deleted_one(mlflow: Any, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(ServerError, match=r"MLflow can't tell .* of m: .*500"):
        ask(mlflow)


def test_any_other_request_ends_with_the_place_of_the_log(mlflow: Any) -> None:
    for ask in (lambda: find_or_create_run(mlflow, "m", "k" * 8), lambda: check_name("m", "matching", [])):
        with pytest.raises(MlflowException) as raised:
            ask()
        assert "can't do its work" in str(refusal(raised.value))
        assert "servers/mlflow.log" in str(refusal(raised.value))
