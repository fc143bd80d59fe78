"""Texts that endpoints write, in the shapes of OpenAI's API: whole, or as events while they are written."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from deploy.door.endpoints import ServedEndpoint
from deploy.door.refusals import Refusal
from deploy.door.triton import ENDED_EARLY, AsyncTriton
from deploy.door.writing_requests import WritingRequest

LAST_EVENT = "data: [DONE]\n\n"
NOT_KEPT = {"cache-control": "no-store"}


class CompletionShape:
    """How /v1/completions says a text."""

    prefix, whole_name, piece_name = "cmpl", "text_completion", "text_completion"

    def whole(self, text: str) -> dict[str, Any]:
        """Of a choice what holds the whole text."""
        return {"text": text}

    def piece(self, text: str, *, is_first: bool) -> dict[str, Any]:
        """Of a choice what holds a piece of it."""
        return {"text": text}


class ChatShape(CompletionShape):
    """How /v1/chat/completions says a text."""

    prefix, whole_name, piece_name = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def whole(self, text: str) -> dict[str, Any]:
        """The message of the assistant."""
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def piece(self, text: str, *, is_first: bool) -> dict[str, Any]:
        """What is added to it; at first who speaks, at the end nothing."""
        delta = {"role": "assistant"} if is_first else {}
        return {"delta": delta | ({"content": text} if text or is_first else {})}


class EventStream(StreamingResponse):
    """Events whose source is closed when the client leaves in the middle of one."""

    def __init__(self, content: AsyncGenerator[str]) -> None:
        headers = {**NOT_KEPT, "x-accel-buffering": "no"}
        self._events = content
        super().__init__(content, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Send them as they come."""
        async with aclosing(self._events):
            await super().stream_response(send)


async def written(
    triton: AsyncTriton, endpoint: ServedEndpoint, request: WritingRequest, shape: CompletionShape
) -> Response:
    """The answer to a request for a text. Raises Refusal, of a stream before its first event alone."""
    if not request.streams:
        said = await triton.text(endpoint.name, request.question)
        choice = {"index": 0, **shape.whole(said["text_output"]), "logprobs": None}
        choice["finish_reason"] = said["finish_reason"]
        body = {**_head(endpoint, shape, shape.whole_name, said), "choices": [choice], "usage": _usage(said)}
        return JSONResponse(body, headers=NOT_KEPT)
    pieces = triton.pieces(endpoint.name, request.question)
    # The status of the response says whether there is a text, so one piece has to be there.
    first = await anext(pieces, None)
    if first is None:
        raise Refusal(502, ENDED_EARLY)
    return EventStream(_events(first, pieces, endpoint, request, shape))


async def _events(
    first: Mapping[str, Any],
    pieces: AsyncGenerator[Mapping[str, Any]],
    endpoint: ServedEndpoint,
    request: WritingRequest,
    shape: CompletionShape,
) -> AsyncGenerator[str]:
    head = _head(endpoint, shape, shape.piece_name, first)
    usage = {"usage": None} if request.counts else {}

    def event(piece: Mapping[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, **piece, "logprobs": None, "finish_reason": reason}
        return _event({**head, "choices": [choice], **usage})

    async with aclosing(_from(first, pieces)) as all_pieces:
        try:
            if isinstance(shape, ChatShape):
                yield event(shape.piece("", is_first=True))
            said: Mapping[str, Any] = first
            async for said in all_pieces:
                if said["text_output"]:
                    yield event(shape.piece(said["text_output"], is_first=False))
            if "finish_reason" not in said:
                raise Refusal(502, ENDED_EARLY)
            yield event(shape.piece("", is_first=False), said["finish_reason"])
            if request.counts:
                yield _event({**head, "choices": [], "usage": _usage(said)})
            yield LAST_EVENT
        except Refusal as refusal:
            yield refusal.event


async def _from(
    first: Mapping[str, Any], rest: AsyncGenerator[Mapping[str, Any]]
) -> AsyncGenerator[Mapping[str, Any]]:
    async with aclosing(rest):
        yield first
        async for said in rest:
            yield said


def _head(
    endpoint: ServedEndpoint, shape: CompletionShape, name: str, said: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": f"{shape.prefix}-{secrets.token_hex(12)}",
        "object": name,
        "created": int(time.time()),
        "model": endpoint.name,
        "system_fingerprint": f"{endpoint.name}-v{said['model_version']}",
    }


def _usage(said: Mapping[str, Any]) -> dict[str, int]:
    read, wrote = int(said["num_input_tokens"]), int(said["num_output_tokens"])
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
