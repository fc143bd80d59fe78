"""Triton asked over HTTP, many requests side by side.

Whoever stops waiting closes the connection, and so ends the work there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from deploy import triton_server
from deploy.client import MAX_BATCH
from deploy.door.refusals import Refusal

SECONDS = 305.0  # that Triton may say nothing: a little more than the 300 after which its model refuses
CONNECT_SECONDS = 5.0
BATCH_BYTES = 256 * 1024  # of texts that are sent together, half of what an endpoint takes
COUNTS = ("num_input_tokens", "num_output_tokens")
MARK = b"data:"
ENDED_EARLY = "Triton ended the text too early; ask again"
NOT_THERE = "Triton does not answer; whoever runs it starts it with `textmill up`"
# What Triton's models say when it is not the request that is wrong, and the status for it.
_STATUSES: Mapping[str, int] = {
    "ask again later": 429,
    "the answer took more than": 504,
    "the model can't answer": 500,
    "unknown model": 503,
    "is not found": 503,
    "not ready": 503,
    "is not healthy": 503,
    "stub process": 503,
}
PREFIX = "question 1 can't be answered: "  # of a request that has only one


class AsyncTriton:
    """The Triton of a home, on whichever port it was started last."""

    def __init__(self, home: Path) -> None:
        self._home = home
        # Neither a proxy nor a password file of the user's has to do with loopback.
        self._client = httpx.AsyncClient(
            trust_env=False,
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
        )

    async def close(self) -> None:
        """End what is open."""
        await self._client.aclose()

    async def answers(
        self,
        model: str,
        inputs: Sequence[str],
        questions: Sequence[Mapping[str, str]],
        said: Mapping[str, Any],
    ) -> tuple[list[Any], str]:
        """The answers to questions of these strings, and the version that gave them. Raises Refusal.

        `said` is what is said of all of them besides, such as the `side` of vectors.
        """
        answers: list[Any] = []
        versions: set[str] = set()
        for batch in _batches(questions):
            shape = {"shape": [len(batch), 1], "datatype": "BYTES"}
            tensors = [{"name": name, **shape, "data": [one[name] for one in batch]} for name in inputs]
            body = {"inputs": tensors, "outputs": [{"name": "json"}], "parameters": dict(said)}
            with _in_our_words():
                response = await self._client.post(self._url(model, "infer"), json=body)
            content = _content(response)
            (found,) = content["outputs"]
            answers += [json.loads(answer) for answer in found["data"]]
            versions.add(str(content["model_version"]))
        if len(versions) > 1:  # vectors of two models have nothing to do with each other
            raise Refusal(503, f"{model} moved to another version meanwhile; ask again")
        return answers, versions.pop()

    async def text(self, model: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole text that is written for a question, with all that is said of it. Raises Refusal.

        In pieces, too: Triton sees that a client has left when it writes to it, and writes nothing before the
        end of a text that comes whole.
        """
        texts: list[str] = []
        said: Mapping[str, Any] = {}
        async with aclosing(self.pieces(model, question)) as pieces:
            async for said in pieces:
                texts.append(said["text_output"])
        if "finish_reason" not in said:
            raise Refusal(502, ENDED_EARLY)
        return {**said, "text_output": "".join(texts)}

    async def pieces(self, model: str, question: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any]]:
        """The text in pieces as they are written, the last with all that is said of it. Raises Refusal."""
        body, url = {**_counted(question), "stream": True}, self._url(model, "generate_stream")
        with _in_our_words():
            async with self._client.stream("POST", url, json=body) as response:
                if response.status_code != 200:
                    await response.aread()
                    _content(response)
                async for said in events(response.aiter_bytes()):
                    if "error" in said:
                        raise _refusal(str(said["error"]), 400)
                    yield said

    def _url(self, model: str, what: str) -> str:
        server = triton_server.recorded(self._home)
        if server is None:
            raise Refusal(503, NOT_THERE)
        return f"{server.url}/v2/models/{model}/{what}"


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, Any]]:
    """The JSON of server-sent events.

    Lines end at the line feed alone: texts may hold other ends of lines (U+2028), which stand in JSON as they
    are.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(MARK):
                text = line[len(MARK) :].strip()
                yield json.loads(text)


def _batches(questions: Sequence[Mapping[str, str]]) -> list[Sequence[Mapping[str, str]]]:
    """As many together as one request may have."""
    batches: list[list[Mapping[str, str]]] = []
    size = 0
    for question in questions:
        length = sum(len(text.encode()) for text in question.values())
        if not batches or len(batches[-1]) == MAX_BATCH or size + length > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(question)
        size += length
    return list(batches)


def _counted(question: Mapping[str, Any]) -> dict[str, Any]:
    return {**question, **{f"return_{count}": True for count in COUNTS}}


def _content(response: httpx.Response) -> Any:
    """What a response says; a stream that is refused begins with an event. Raises Refusal for a refusal."""
    body = response.content.strip().removeprefix(MARK)
    try:
        content = json.loads(body)
    except ValueError:
        raise Refusal(502, f"Triton answered {response.status_code} with what is not JSON") from None
    if response.status_code != 200 or "error" in content:
        reason = content.get("error") if isinstance(content, dict) else None
        raise _refusal(str(reason or f"status {response.status_code}"), response.status_code)
    return content


def _refusal(reason: str, status: int) -> Refusal:
    told = next((of for words, of in _STATUSES.items() if words in reason), 500 if status == 500 else 400)
    reason = reason.removeprefix(PREFIX)
    if reason.startswith("text_input"):
        reason = reason.replace("text_input", "prompt", 1)  # what OpenAI calls it
    if told == 503:
        reason = f"Triton does not serve this model now ({reason}); `textmill up` repairs it"
    return Refusal(told, reason, code="context_length_exceeded" if "leave room for" in reason else None)


@contextlib.contextmanager
def _in_our_words() -> Any:
    try:
        yield
    except httpx.TimeoutException:
        raise Refusal(504, "Triton did not answer in time; ask for less at once, or again later") from None
    except httpx.HTTPError:
        raise Refusal(503, NOT_THERE) from None
