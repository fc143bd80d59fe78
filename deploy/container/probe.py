"""Ask every endpoint of this container's Triton a question; exit code 1 when one does not answer.

Triton calls itself ready after the process behind a model has died, so nothing less tells whether it serves.
The standard library alone, since it runs in NVIDIA's image.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any

from deploy.container.serve import MODELS, endpoints

PORT = 8000
ANSWER_SECONDS = 10.0
TEXT = "<e1>ready</e1> <e2>?</e2>"  # what every task can be asked (deploy/client.py)


def faults(names: list[str], port: int, timeout: float = ANSWER_SECONDS) -> list[str]:
    """Why endpoints did not answer; [] when all did."""
    found = []
    for name in names:
        try:
            _ask(name, port, timeout)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            found.append(f"{name}: {error or type(error).__name__}")
    return found


def _ask(name: str, port: int, timeout: float) -> None:
    inputs = [tensor["name"] for tensor in _sent("GET", f"/v2/models/{name}", None, port, timeout)["inputs"]]
    if "stream" in inputs:  # it writes: Triton answers such a model by `generate` only
        question: dict[str, Any] = {inputs[0]: TEXT, "max_tokens": 1}
        _sent("POST", f"/v2/models/{name}/generate", question, port, timeout)
        return
    tensors = [{"name": each, "shape": [1, 1], "datatype": "BYTES", "data": [TEXT]} for each in inputs]
    _sent("POST", f"/v2/models/{name}/infer", {"inputs": tensors}, port, timeout)


def _sent(method: str, path: str, body: dict[str, Any] | None, port: int, timeout: float) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(f"{response.status} {answer[:200].decode(errors='replace')}")
    return json.loads(answer)


if __name__ == "__main__":
    served = endpoints(MODELS)
    sys.exit("\n".join(faults(served, PORT)) or (0 if served else f"{MODELS} has no endpoint"))
