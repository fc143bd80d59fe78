"""How much a request may take: bytes, seconds, how many are answered at once; and nobody works for who left.

The body is read whole before anything is made of it, so what follows needs no bound of its own. While it is
answered its client is watched: when it leaves, or the answer takes too long, the work is cancelled, which
closes the request to Triton, and Triton stops writing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.door.refusals import Refusal


@dataclass(frozen=True)
class Most:
    """The bounds: bytes of a body, seconds in which it comes, seconds of an answer, and answers at once."""

    body_bytes: int = 1 << 20
    body_seconds: float = 20.0
    seconds: float = 310.0  # a little more than Triton's model takes to refuse by itself
    at_once: int = 64


class Bounds:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, most: Most | None = None) -> None:
        self._app, self._most, self._count = app, most or Most(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within the bounds, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            body = await self._read(receive)
            if scope["method"] == "POST" and self._count >= self._most.at_once:
                raise Refusal(
                    429, f"{self._count} requests are being answered, more are not taken; ask again later"
                )
        except Refusal as refusal:
            return await refusal.response()(scope, receive, send)
        except ConnectionError:
            return
        self._count += scope["method"] == "POST"
        try:
            await self._answer(scope, body, receive, send)
        finally:
            self._count -= scope["method"] == "POST"

    async def _read(self, receive: Receive) -> bytes:
        body, most = bytearray(), self._most
        try:
            async with asyncio.timeout(most.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionError
                    body += message.get("body", b"")
                    if len(body) > most.body_bytes:
                        raise Refusal(
                            413, f"the request has more than {most.body_bytes} bytes; send less at once"
                        )
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise Refusal(408, f"the request did not come within {most.body_seconds:g} s") from None

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        work = asyncio.ensure_future(self._app(scope, _replay(body), noting))
        left = asyncio.ensure_future(_left(receive))
        try:
            done, _ = await asyncio.wait(
                {work, left}, timeout=self._most.seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            left.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        if work in done:
            work.result()
        elif not done and not begun:
            late = Refusal(504, f"the answer took more than {self._most.seconds:g} s; ask for less at once")
            await late.response()(scope, receive, send)


def _replay(body: bytes) -> Receive:
    """The body once; then nothing more happens, since leaving is watched here."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    return receive


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
