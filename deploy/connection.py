"""HTTP to Triton on this machine, with the standard library alone, and its refusals in our words."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.errors import TritonError
from deploy.triton_server import HOST


@contextlib.contextmanager
def connection(http_port: int, timeout: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the server at a port. Raises TritonError when it does not answer."""
    to_triton = http.client.HTTPConnection(HOST, http_port, timeout=timeout)
    try:
        yield to_triton
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise TritonError(
            f"Triton does not answer on {HOST}:{http_port} ({reason}); start it with `textmill up`"
        ) from None
    finally:
        to_triton.close()


def sent(
    to_triton: http.client.HTTPConnection,
    method: str,
    path: str,
    content: str | None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """The JSON of an answer. Raises TritonError for a refusal."""
    to_triton.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
    response = to_triton.getresponse()
    body = response.read()
    if response.status != 200:
        raise TritonError(refusal(path, body))
    return json.loads(body)


def refusal(path: str, body: bytes) -> str:
    """What Triton said instead of an answer, with the model that the path names."""
    model = path.split("/")[3]
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", errors="replace")[:500]
    if "unknown model" in reason or "is not found" in reason or "not ready" in reason:
        return f"Triton serves no model '{model}' ({reason}); deploy one with `textmill run`"
    return f"Triton refused the request to '{model}': {reason}"
