"""Talk to a running Triton: ask an endpoint, load and unload models.

Questions go over HTTP with the standard library alone, because the command line imports this file and must
answer at once. Loads go over gRPC: an HTTP load blocks other HTTP requests until it is done.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy import access
from deploy.errors import TritonError
from deploy.triton_server import HOST, TritonServer

MAX_BATCH = 64
MAX_REQUEST_BYTES = 512 * 1024
LOAD_SECONDS = 120.0


@dataclass(frozen=True)
class EndpointAnswer:
    """What an endpoint says about one text; labels and probabilities (summing to 1), likeliest first."""

    label: str
    probability: float
    labels: list[str]
    probabilities: list[float]
    model_version: str


def ask(
    texts: Sequence[str], model: str, *, http_port: int, version: int | None = None, timeout: float = 10.0
) -> list[EndpointAnswer]:
    """Classify texts with an endpoint; any number of texts, sent in as many requests as it takes.

    Protocol: https://github.com/kserve/kserve/blob/master/docs/predict-api/v2/required_api.md

    Args:
        version: None asks the version that is live.
        timeout: seconds for each batch.

    Raises:
        TritonError: no server there, no such model, or the model refused a request.
    """
    path = f"/v2/models/{model}" + ("" if version is None else f"/versions/{version}") + "/infer"
    connection = http.client.HTTPConnection(HOST, http_port, timeout=timeout)
    try:
        return [answer for batch in _batches(texts) for answer in _ask_batch(connection, path, batch)]
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise TritonError(
            f"Triton does not answer on {HOST}:{http_port} ({reason}); start it with `textmill up`"
        ) from None
    finally:
        connection.close()


def ready_version(model: str, *, http_port: int, timeout: float = 10.0) -> int | None:
    """The version that answers now, or None; found with a real inference, since `/ready` stays 200
    after the process behind a model has died."""
    try:
        return int(ask(["ready?"], model, http_port=http_port, timeout=timeout)[0].model_version)
    except TritonError:
        return None


def load(model: str, server: TritonServer) -> None:
    """Load a model, or load it anew from the repository's present state.

    Raises:
        TritonError: with Triton's reason; versions that were serving go on.
    """
    with _repository_client(server, f"load {model}") as client:
        client.load_model(model, headers=access.grpc_headers(server.key), client_timeout=LOAD_SECONDS)


def unload(model: str, server: TritonServer) -> None:
    """Unload a model; requests in flight finish. A model that is not loaded is no error.

    Raises:
        TritonError: the server can't be reached.
    """
    with _repository_client(server, f"unload {model}") as client:
        client.unload_model(model, headers=access.grpc_headers(server.key), client_timeout=LOAD_SECONDS)


@contextlib.contextmanager
def _repository_client(server: TritonServer, action: str) -> Iterator[Any]:
    import tritonclient.grpc
    from tritonclient.utils import InferenceServerException

    # gRPC would otherwise send even loopback traffic through a proxy named in the environment.
    client = tritonclient.grpc.InferenceServerClient(
        f"{HOST}:{server.grpc_port}", channel_args=[("grpc.enable_http_proxy", 0)]
    )
    try:
        yield client
    except InferenceServerException as error:
        if "StatusCode.UNAVAILABLE" in (error.status() or ""):
            raise TritonError(
                f"Triton does not answer on {HOST}:{server.grpc_port}; start it with `textmill up`"
            ) from None
        # Python backends append their traceback after "At:"; the reason stands before it.
        reason = error.message().split("\n\nAt:")[0]
        raise TritonError(f"Triton can't {action}: {reason}") from None
    finally:
        client.close()


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list where a request would have too many texts or bytes."""
    start = size = 0
    for index, text in enumerate(texts):
        length = len(text.encode("utf-8", errors="surrogatepass"))
        if index > start and (index - start == MAX_BATCH or size + length > MAX_REQUEST_BYTES):
            yield texts[start:index]
            start, size = index, 0
        size += length
    if len(texts) > start:
        yield texts[start:]


def _ask_batch(
    connection: http.client.HTTPConnection, path: str, texts: Sequence[str]
) -> list[EndpointAnswer]:
    tensor = {"name": "text", "shape": [len(texts), 1], "datatype": "BYTES", "data": list(texts)}
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps({"inputs": [tensor]}), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise TritonError(_refusal(path, body))
    return list(_answers(json.loads(body), len(texts)))


def _answers(body: dict[str, Any], count: int) -> Iterator[EndpointAnswer]:
    outputs = {output["name"]: output["data"] for output in body["outputs"]}
    width = len(outputs["labels"]) // count
    for start in range(0, count * width, width):
        labels = outputs["labels"][start : start + width]
        probabilities = outputs["probabilities"][start : start + width]
        yield EndpointAnswer(labels[0], probabilities[0], labels, probabilities, str(body["model_version"]))


def _refusal(path: str, body: bytes) -> str:
    model = path.split("/")[3]
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", errors="replace")[:500]
    if "unknown model" in reason or "is not found" in reason or "not ready" in reason:
        return f"Triton serves no model '{model}' ({reason}); deploy one with `textmill run`"
    return f"Triton refused the request to '{model}': {reason}"
