"""What a request may take, with small bounds and an application that does nothing but wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.door.bounds import Bounds, Most
from deploy.door.refusals import Refusal
from deploy.door.triton import AsyncTriton, events

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}


class Client:
    """What uvicorn is to an application: it hands on a body in chunks, and notes what is answered."""

    def __init__(self, *chunks: bytes, leaves_after: float | None = None) -> None:
        self._chunks, self._leaves_after = list(chunks), leaves_after
        self.messages: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self._chunks:
            body = self._chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._chunks) or not body}
        await asyncio.sleep(60 if self._leaves_after is None else self._leaves_after)
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def refused(self) -> tuple[int, str]:
        head, body = self.messages
        return head["status"], json.loads(body["body"])["error"]["message"]


def application(seconds: float, ended: list[str]) -> Callable[..., Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ended.append(f"got {len((await receive())['body'])}")
        try:
            await asyncio.sleep(seconds)
            ended.append("answered")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    return app


async def asked(most: Most, seconds: float, *clients: Client) -> list[str]:
    ended: list[str] = []
    bounds = Bounds(application(seconds, ended), most)
    await asyncio.gather(*(bounds(dict(POST), client.receive, client.send) for client in clients))
    return ended


def test_an_answer_is_given_a_body_in_chunks() -> None:
    assert asyncio.run(asked(Most(), 0, Client(b"ab", b"c"))) == ["got 3", "answered"]


def test_a_body_that_is_too_long_reaches_nobody() -> None:
    client = Client(b"a" * 8, b"b" * 8)
    assert asyncio.run(asked(Most(body_bytes=10), 0, client)) == []
    assert client.refused == (413, "the request has more than 10 bytes; send less at once")


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    client = Client(b"")
    assert asyncio.run(asked(Most(body_seconds=0.05), 0, client)) == []
    assert client.refused == (408, "the request did not come within 0.05 s")


def test_who_leaves_is_not_worked_for() -> None:
    assert asyncio.run(asked(Most(), 30, Client(b"a", leaves_after=0.05))) == ["got 1", "cancelled"]
    assert asyncio.run(asked(Most(), 30, Client(leaves_after=0))) == []


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    client = Client(b"a")
    assert asyncio.run(asked(Most(seconds=0.05), 30, client)) == ["got 1", "cancelled"]
    assert client.refused == (504, "the answer took more than 0.05 s; ask for less at once")


def test_more_at_once_than_are_taken_are_told_to_wait() -> None:
    clients = [Client(b"a") for _ in range(3)]
    assert asyncio.run(asked(Most(at_once=2), 0.05, *clients)).count("answered") == 2
    (refused,) = (client for client in clients if client.messages)
    assert refused.refused == (429, "2 requests are being answered, more are not taken; ask again later")


def test_events_end_at_line_feeds_alone_wherever_they_are_cut() -> None:
    said = [{"text_output": "a\u2028b\x85c"}, {"text_output": "🙂"}]
    whole = "".join(f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in said).encode()

    async def read(size: int) -> list[Any]:
        async def chunks() -> Any:
            for place in range(0, len(whole), size):
                yield whole[place : place + size]

        return [event async for event in events(chunks())]

    assert all(asyncio.run(read(size)) == said for size in range(1, len(whole) + 1))


RECORD = {"repository": "", "pid": 1, "started": "", "http_port": 9, "grpc_port": 1, "metrics_port": 2}


def test_answers_of_two_versions_are_not_mixed(tmp_path: Path) -> None:
    """A switch between two parts of a long list."""
    record = json.dumps(RECORD | {"home": str(tmp_path), "key": "k"})
    (tmp_path / "server.json").write_text(record, encoding="utf-8")
    sizes: list[int] = []

    def infer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["inputs"][0]["data"]
        sizes.append(len(texts))
        said = [{"name": "json", "data": ["{}"] * len(texts)}]
        return httpx.Response(200, json={"model_version": f"{len(sizes)}", "outputs": said})

    async def ask(count: int) -> tuple[list[Any], str]:
        triton = AsyncTriton(tmp_path)
        triton._client = httpx.AsyncClient(transport=httpx.MockTransport(infer))
        return await triton.answers("vectors", ["text"], [{"text": "a"}] * count, {})

    assert asyncio.run(ask(64)) == ([{}] * 64, "1")
    with pytest.raises(Refusal, match="vectors moved to another version meanwhile; ask again"):
        asyncio.run(ask(65))
    assert sizes == [64, 64, 1]


def test_a_triton_that_does_not_answer_is_said(tmp_path: Path) -> None:
    async def ask() -> None:
        triton = AsyncTriton(tmp_path)
        try:
            await triton.text("chat", {"text_input": "a"})
        finally:
            await triton.close()

    for content in ("", json.dumps(RECORD | {"home": str(tmp_path), "key": "k"})):
        (tmp_path / "server.json").write_text(content, encoding="utf-8")
        with pytest.raises(Refusal, match="Triton does not answer; whoever runs it starts it") as refused:
            asyncio.run(ask())
        assert refused.value.status == 503
