"""The middleware without a server: who is let through, and where a log-in leads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking.auth_middleware import HOSTS_VARIABLE, KEY_FILE_VARIABLE, AuthMiddleware, basic

HOST, KEY = "127.0.0.1:5000", "s3cret"
OWN = f"http://{HOST}"


async def server(scope: Any, receive: Any, send: Any) -> None:
    """What stands behind the middleware: it says that it was reached."""
    await send({"type": "http.response.start", "status": 200, "headers": []})


def knock(
    path: str = "/",
    method: str = "GET",
    *,
    kind: str = "http",
    key: str | None = KEY,
    middleware: AuthMiddleware | None = None,
    **headers: str,
) -> dict[str, Any]:
    """The first thing that comes back from a server at HOST; `_` in a header's name is `-`."""
    given = {"host": HOST, "authorization": basic(KEY)} | headers
    path, _, query = path.partition("?")
    scope = {
        "type": kind,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in given.items()],
    }
    scope |= {"method": method} if kind == "http" else {}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    middleware = middleware or AuthMiddleware(server, [HOST, "localhost:5000"], key, open_page="/health")
    asyncio.run(middleware(scope, None, send))  # type: ignore[arg-type]
    return sent[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:5000"},
        {"origin": OWN},
        {"host": "localhost:5000", "origin": "http://localhost:5000"},
        {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
    ],
)
def test_who_is_let_through(headers: dict[str, str]) -> None:
    assert knock(**headers)["status"] == 200
    assert knock(**headers, key=None)["status"] == 200


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "127.0.0.1:5001", "evil.example:5000", f"{HOST}.evil", "*"]
)
def test_a_foreign_name_is_refused_with_and_without_a_key(host: str) -> None:
    assert knock(host=host)["status"] == knock(host=host, key=None)["status"] == 403
    assert knock("/health", host=host)["status"] == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"origin": "http://127.0.0.1:9999"}),
        ("POST", {"origin": "http://evil.example"}),
        ("POST", {"origin": "null"}),
        ("POST", {"origin": ""}),
        ("POST", {"origin": "http://localhost:5000"}),  # ours by another name is another origin
        ("OPTIONS", {"origin": "http://evil.example", "access_control_request_method": "PUT"}),
        ("GET", {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"}),
        ("GET", {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}),
        (
            "POST",
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
        ),
        ("POST", {"content_type": "text/plain"}),
        ("POST", {"content_type": "Multipart/Form-Data; boundary=x"}),
    ],
)
def test_what_another_page_sends_is_refused_with_and_without_a_key(
    method: str, headers: dict[str, str]
) -> None:
    assert (
        knock(method=method, **headers)["status"]
        == knock(method=method, key=None, **headers)["status"]
        == 403
    )


@pytest.mark.parametrize(
    "given",
    ["", "Basic", basic("other"), basic(KEY).lower(), f"Bearer {KEY}", f"{basic(KEY)}, {basic(KEY)}", "ÿ"],
)
def test_without_the_key_the_browser_is_asked_for_it(given: str) -> None:
    answer = knock(authorization=given)
    assert answer["status"] == 401
    assert dict(answer["headers"])[b"www-authenticate"].startswith(b"Basic ")
    assert knock("/login", authorization=given)["status"] == 401
    assert knock("/health", authorization=given)["status"] == 200
    assert knock("/health", "POST", authorization=given)["status"] == 401


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"authorization": "Basic x"}]
)
def test_a_websocket_is_refused_at_its_handshake(headers: dict[str, str]) -> None:
    assert knock(kind="websocket", **headers)["type"] == "websocket.close"
    assert knock(kind="websocket", origin=OWN)["status"] == 200


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", "/"),
        ("?next=/%23/models", "/#/models"),
        ("?next=/runs%3Fpage%3D2", "/runs?page=2"),
        ("?next=https://evil.example", "/"),
        ("?next=//evil.example", "//evil.example"),  # a path here, as it follows our own name
        ("?next=@evil.example", "/"),
        ("?next=/%0d%0aset-cookie:x", "/%0D%0Aset-cookie:x"),
        ("?next=/\\evil", "/%5Cevil"),
    ],
)
@pytest.mark.parametrize("key", [KEY, None])
def test_a_log_in_leads_to_a_page_of_ours(query: str, place: str, key: str | None) -> None:
    answer = knock(f"/login{query}", key=key)
    assert (answer["status"], dict(answer["headers"])[b"location"].decode()) == (303, f"{OWN}{place}")


@pytest.mark.parametrize("missing", [HOSTS_VARIABLE, KEY_FILE_VARIABLE])
def test_what_was_not_told_all_lets_nobody_in(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, HOST)
    monkeypatch.setenv(KEY_FILE_VARIABLE, "")
    AuthMiddleware.from_environment(server, open_page="/health")
    monkeypatch.delenv(missing)
    with pytest.raises(KeyError, match=missing):
        AuthMiddleware.from_environment(server, open_page="/health")


def test_what_can_not_read_its_key_lets_nobody_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, HOST)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "key"))
    with pytest.raises(FileNotFoundError):
        AuthMiddleware.from_environment(server, open_page="/health")


def test_it_asks_for_the_key_in_its_file_under_each_of_its_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setenv(HOSTS_VARIABLE, f"other:1,{HOST}")
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "key"))
    middleware = AuthMiddleware.from_environment(server, open_page="/health")
    assert (
        knock(middleware=middleware)["status"]
        == knock(middleware=middleware, host="other:1")["status"]
        == 200
    )
    assert knock(middleware=middleware, host="localhost:5000")["status"] == 403
    assert knock(middleware=middleware, authorization=basic("other"))["status"] == 401
