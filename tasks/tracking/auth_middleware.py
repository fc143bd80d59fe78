"""Who may ask Prefect's and MLflow's servers: an ASGI middleware that decides before they see a request.

Listening on loopback keeps other machines out, not other users of this one, and not the pages that its
owner's browser has open: those send requests to any address, under any name that resolves to it. So three
things are asked of every HTTP request and WebSocket handshake: the name that it calls the server by, the
page that it comes from, and the key.

The key travels by HTTP Basic authentication. A browser keeps those credentials to one port; a cookie would go
to every port of this machine, and so to other users' servers.
"""

import base64
import hmac
import os
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote

from deploy.request_origin import comes_from_elsewhere, headers_of

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

USER = "textmill"
LOGIN_PAGE = "/login"
HOSTS_VARIABLE, KEY_FILE_VARIABLE = "TEXTMILL_AUTH_HOSTS", "TEXTMILL_AUTH_KEY_FILE"


def basic(key: str) -> str:
    """The value of the header `Authorization` for a key."""
    return "Basic " + base64.b64encode(f"{USER}:{key}".encode()).decode()


class AuthMiddleware:
    """An ASGI application in front of another one.

    Args:
        app: the server.
        hosts: names that it may be called by, as in the header `Host`: with the port unless it is 80.
        key: what has to be known; None asks for no key, the other two questions stay.
        open_page: the path of a page that tells only that the server lives, and needs no key.
    """

    def __init__(self, app: App, hosts: Collection[str], key: str | None, open_page: str) -> None:
        self._app, self._hosts, self._open_page = app, frozenset(hosts), open_page
        self._credentials = None if key is None else basic(key).encode()

    @classmethod
    def from_environment(cls, app: App, open_page: str) -> Self:
        """With the hosts and the key that the command which started this server has chosen.

        Raises KeyError when it chose none: a server never stands open by oversight.
        """
        key_file = os.environ[KEY_FILE_VARIABLE]
        key = Path(key_file).read_text(encoding="utf-8").strip() if key_file else None
        return cls(app, os.environ[HOSTS_VARIABLE].split(","), key, open_page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 401 or 403 in the server's place."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = headers_of(scope)
        if headers.get("host") not in self._hosts:
            return await _refuse(scope, send, 403, "this server has another name: see TEXTMILL_HOSTS")
        if comes_from_elsewhere(scope, headers):
            return await _refuse(scope, send, 403, "only this server's own pages may send this")
        if scope["path"] == self._open_page and scope.get("method") == "GET":
            return await self._app(scope, receive, send)
        if self._credentials and not _same(headers.get("authorization", ""), self._credentials):
            return await _refuse(scope, send, 401, "`textmill status` prints a link that logs in")
        if scope["path"] == LOGIN_PAGE and scope["type"] == "http":
            return await _redirect(scope, send, headers["host"])
        await self._app(scope, receive, send)


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("latin-1"), expected)


async def _redirect(scope: Scope, send: Send, host: str) -> None:
    """From the page that logs in to the one that was meant, at an address that holds no credentials.

    A page whose own address held them could not fetch anything.
    """
    path = parse_qs(scope["query_string"].decode("latin-1")).get("next", ["/"])[0]
    path = quote(path if path.startswith("/") else "/", safe="/#?&=:;,+@!$'()*~%-._")
    await _answer(send, 303, [("location", f"{scope['scheme']}://{host}{path}")], "")


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": reason})
    ask = [("www-authenticate", f'Basic realm="{USER}", charset="UTF-8"')] if status == 401 else []
    await _answer(send, status, ask, reason + "\n")


async def _answer(send: Send, status: int, headers: list[tuple[str, str]], body: str) -> None:
    headers = [*headers, ("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")]
    content = body.encode()
    headers.append(("content-length", str(len(content))))
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content})
