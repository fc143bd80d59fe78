"""Who may come in: who calls the door by its name, is no page of another site, and knows the key, if any."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.door.refusals import Refusal
from deploy.door.settings import DoorSettings
from deploy.request_origin import comes_from_elsewhere, headers_of

# Files of the page, and that the door lives: they tell nothing, and a page has to be there to ask for a key.
OPEN = ("/", "/page.js", "/page.css", "/icon.svg", "/health")


class DoorGuard:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, settings: DoorSettings) -> None:
        self._app, self._hosts = app, settings.hosts
        self._key = None if settings.key is None else settings.key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":  # the start and the end; there are no WebSockets here
            return await self._app(scope, receive, send)
        try:
            self._check(scope)
        except Refusal as refusal:
            return await refusal.response()(scope, receive, send)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = headers_of(scope)
        if headers.get("host") not in self._hosts:
            raise Refusal(
                403,
                "this server has another name; TEXTMILL_HOSTS adds one when the server is started",
                code="wrong_host",
            )
        if scope["method"] == "POST" and not _is_json(headers.get("content-type", "")):
            raise Refusal(415, "send JSON, with the header `Content-Type: application/json`")
        if comes_from_elsewhere(scope, headers):
            raise Refusal(403, "only this server's own page and programs may send this", code="wrong_origin")
        if self._key is not None and scope["path"] not in OPEN:
            self._check_key(headers.get("authorization", ""))

    def _check_key(self, given: str) -> None:
        assert self._key is not None
        kind, _, key = given.partition(" ")
        is_right = hmac.compare_digest(key.strip().encode("latin-1"), self._key)
        if not (is_right and kind.lower() == "bearer"):
            raise Refusal(
                401,
                "give the key of this server, with the header `Authorization: Bearer KEY` "
                "(`api_key` of OpenAI's client)",
                code="invalid_api_key",
            )


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
