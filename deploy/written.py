"""Ask an endpoint that writes: the whole text at once, or its pieces as they are written.

Such a model answers through Triton's generate extension alone, one question a request; it writes the texts of
all that wait together. So questions are asked side by side.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.connection import connection, refusal, sent
from deploy.errors import TritonError

AT_ONCE = 16
COUNTS = ("num_input_tokens", "num_output_tokens")
MARK = b"data: "  # before each event


def ask_written(
    questions: Sequence[Mapping[str, Any]], path: str, http_port: int, timeout: float
) -> list[Mapping[str, Any]]:
    """The responses to questions, in their order; `path` is that of the model, or of one of its versions.

    Raises:
        TritonError: no server there, no such model, or the model refused a request.
    """

    def asked(question: Mapping[str, Any]) -> Mapping[str, Any]:
        with connection(http_port, timeout) as to_triton:
            body: Mapping[str, Any] = sent(to_triton, "POST", f"{path}/generate", _request(question))
            return body

    with ThreadPoolExecutor(AT_ONCE) as side_by_side:
        return list(side_by_side.map(asked, questions))


def pieces(
    question: Mapping[str, Any], path: str, http_port: int, timeout: float = 60.0
) -> Iterator[Mapping[str, Any]]:
    """The responses to one question as they come: a piece of the text each, the last with all that is said.

    `timeout` is in seconds, for each. Whoever stops reading stops the writing.

    Raises:
        TritonError: as `ask_written`.
    """
    with connection(http_port, timeout) as to_triton:
        to_triton.request("POST", f"{path}/generate_stream", _request({**question, "stream": True}))
        response = to_triton.getresponse()
        if response.status != 200:
            raise TritonError(refusal(path, response.read()))
        with contextlib.closing(response):
            yield from _events(response, path)


def _events(response: http.client.HTTPResponse, path: str) -> Iterator[Mapping[str, Any]]:
    for line in response:
        if line.startswith(MARK):
            said: Mapping[str, Any] = json.loads(line[len(MARK) :])
            if "error" in said:
                raise TritonError(refusal(path, line[len(MARK) :]))
            yield said


def _request(question: Mapping[str, Any]) -> str:
    return json.dumps({**question, **{f"return_{count}": True for count in COUNTS}})
