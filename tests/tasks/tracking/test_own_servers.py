"""Servers of the user's own: what is wrong with one is a sentence, found within seconds."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from corpus.redaction import redacted
from tasks.contract.errors import ServerError
from tasks.tracking import own_servers


@pytest.fixture
def serve() -> Iterator[Callable[[bytes, int], str]]:
    """Start a web server that answers every question with one body and one code."""
    started = []

    def start(body: bytes, code: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("server", "body", "code", "said"),
    [
        ("mlflow", b"OK", 200, None),
        ("prefect", b"true", 200, None),
        ("mlflow", b"<html>welcome</html>", 200, "not as an MLflow server"),
        ("prefect", b"<html>welcome</html>", 200, "whose address ends in /api"),
        ("mlflow", b"", 502, "answers with 502"),
        ("prefect", b"", 401, "refuses the log-in"),
    ],
)
def test_a_web_server_is_not_taken_for_another(
    serve: Callable[[bytes, int], str], server: str, body: bytes, code: int, said: str | None
) -> None:
    found = own_servers.server_fault(server, serve(body, code))
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "connection refused"),
        ("http://no-such-host.invalid", "its name is not known here"),
        ("sqlite:///mlflow.db", "no address of a server"),
        ("http://[::1", "no address of a server"),
        ("http://host:99999", "does not answer"),
        ("http://127.0.0.1:9 ", "has blanks"),
    ],
)
def test_an_address_that_leads_nowhere(url: str, said: str) -> None:
    with pytest.raises(ServerError) as error:
        own_servers.check("mlflow", url)
    assert said in str(error.value)
    assert str(error.value).startswith(f"MLFLOW_TRACKING_URI={url} ")
    assert "\n" not in str(error.value)


def test_a_line_end_behind_an_address_is_said_in_one_line() -> None:
    with pytest.raises(
        ServerError, match=r"PREFECT_API_URL='http://h:1/api\\n' has blanks or a line end"
    ) as error:
        own_servers.check("prefect", "http://h:1/api\n")
    assert "\n" not in str(error.value)


def test_a_server_that_hangs_is_given_up_and_no_password_is_shown() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}"
        assert "within 1 s" in (own_servers.server_fault("mlflow", url, seconds=1) or "")
        assert redacted(url) == url.replace("user:secret@", "")
