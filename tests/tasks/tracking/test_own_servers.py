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


@pytest.mark.parametrize(
    ("server", "given", "sent"),
    [
        ("mlflow", {"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
        ("mlflow", {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pw"}, "Basic bWU6cHc="),
        ("prefect", {"PREFECT_API_KEY": "t0ken"}, "Bearer t0ken"),
        ("prefect", {"PREFECT_API_AUTH_STRING": "me:pw"}, "Basic bWU6cHc="),
        ("prefect", {"PREFECT_API_KEY": "t0ken", "PREFECT_API_AUTH_STRING": "me:pw"}, "Bearer t0ken"),
        ("prefect", {"MLFLOW_TRACKING_TOKEN": "t0ken"}, None),  # it is nobody else's
    ],
)
def test_a_server_is_asked_with_the_log_in_that_its_client_will_use(
    monkeypatch: pytest.MonkeyPatch, server: str, given: dict[str, str], sent: str | None
) -> None:
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    said: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.append(self.headers.get("Authorization"))
            self.send_response(403)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as asked:
        threading.Thread(target=asked.handle_request, daemon=True).start()
        found = own_servers.server_fault(server, f"http://127.0.0.1:{asked.server_port}")
    assert (found, said) == ("refuses the log-in of the environment (403)", [sent])


def test_a_bundle_of_certificates_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_INSECURE_TLS", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/no/such/bundle.pem")
    assert "/no/such/bundle.pem" in (own_servers.server_fault("mlflow", "https://127.0.0.1:9") or "")


def test_a_proxy_that_is_gone_is_not_taken_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    found = own_servers.server_fault("mlflow", "http://mlflow.example.com")
    assert found == "does not answer (the proxy of the environment refuses or does not answer)"
