"""Talk to a running Triton: ask an endpoint, load and unload models.

Questions go over HTTP with the standard library alone, because the command line imports this file and must
answer at once. Loads go over gRPC: an HTTP load blocks other HTTP requests until it is done.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy import access
from deploy.connection import connection, sent
from deploy.errors import TritonError
from deploy.triton_server import HOST, TritonServer
from deploy.written import COUNTS, ask_written, pieces

MAX_BATCH = 64
MAX_REQUEST_BYTES = 512 * 1024
BATCH_BYTES = 64 * 1024  # that we send together: where texts are read whole, no more are taken
LOAD_SECONDS = 120.0
STREAMS = "stream"  # an input that those models have which write their answers
OF_TEXTS = ("text_output", "finish_reason", *COUNTS)
SEARCHES = "scores"  # a tensor that only an endpoint with a collection has
PROBE = "<e1>ready</e1> <e2>?</e2>"  # what every task can be asked, relations of marked entities too


@dataclass(frozen=True)
class EndpointAnswer:
    """What an endpoint says to one question, with the fields of its task, and the version that said it."""

    content: Mapping[str, Any]
    model_version: str


Question = Mapping[str, Any]


def ask(
    questions: Sequence[str | Question],
    model: str,
    *,
    http_port: int,
    version: int | None = None,
    timeout: float = 10.0,
) -> list[EndpointAnswer]:
    """Ask an endpoint; any number of questions, sent in as many requests as it takes.

    Protocol: https://github.com/kserve/kserve/blob/master/docs/predict-api/v2/required_api.md

    Args:
        questions: the strings of each by the endpoint's input, and what it says besides, such as the `side`
            of an embedding; a string alone is its `text`.
        version: None asks the version that is live.
        timeout: seconds for each batch.
        parameters: of the requests, such as `side` of an embedding.

    Raises:
        TritonError: no server there, no such model, or the model refused a request.
    """
    path = f"/v2/models/{model}" + ("" if version is None else f"/versions/{version}")
    asked = [{"text": question} if isinstance(question, str) else question for question in questions]
    with connection(http_port, timeout) as to_triton:
        is_plain = all(isinstance(question, str) for question in questions)
        names, writes = (["text"], False) if is_plain else _asks(to_triton, model)
        if writes:
            return [_written(said) for said in ask_written(asked, path, http_port, timeout)]
        batches = _batches(asked, names)
        return [answer for batch in batches for answer in _ask_batch(to_triton, path, batch, names)]


def stream(
    question: Question, model: str, *, http_port: int, timeout: float = 60.0
) -> Iterator[EndpointAnswer]:
    """What an endpoint that writes says to one question, piece by piece; the last has all but the text.

    Raises:
        TritonError: as `ask`.
    """
    for said in pieces(question, f"/v2/models/{model}", http_port, timeout):
        yield _written(said)


def writes(model: str, *, http_port: int, timeout: float = 10.0) -> bool:
    """Whether this endpoint writes its answers. Raises TritonError as `ask`."""
    with connection(http_port, timeout) as to_triton:
        return _asks(to_triton, model)[1]


def _written(said: Mapping[str, Any]) -> EndpointAnswer:
    content = {name: said[name] for name in OF_TEXTS if name in said}
    return EndpointAnswer(content, str(said["model_version"]))


def inputs(model: str, *, http_port: int, timeout: float = 10.0) -> list[str]:
    """The strings that a question to this endpoint consists of.

    Raises:
        TritonError: as `ask`.
    """
    with connection(http_port, timeout) as to_triton:
        return _asks(to_triton, model)[0]


def searches(model: str, *, http_port: int, timeout: float = 10.0) -> bool:
    """Whether an endpoint has a collection that it searches.

    Raises:
        TritonError: as `ask`.
    """
    with connection(http_port, timeout) as to_triton:
        told = sent(to_triton, "GET", f"/v2/models/{model}", None)
    return any(tensor["name"] == SEARCHES for tensor in told["outputs"])


def probe(model: str, *, http_port: int, timeout: float = 10.0) -> EndpointAnswer:
    """Ask an endpoint of any task something.

    Raises:
        TritonError: as `ask`.
    """
    with connection(http_port, timeout) as to_triton:
        names, is_written = _asks(to_triton, model)
    question = dict.fromkeys(names, PROBE) | ({"max_tokens": 2} if is_written else {})
    return ask([question], model, http_port=http_port, timeout=timeout)[0]


def ready_version(model: str, *, http_port: int, timeout: float = 10.0) -> int | None:
    """The version that answers now, or None; found with a real inference, since `/ready` stays 200
    after the process behind a model has died."""
    try:
        return int(probe(model, http_port=http_port, timeout=timeout).model_version)
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


def _asks(to_triton: http.client.HTTPConnection, model: str) -> tuple[list[str], bool]:
    """The strings that a question to this endpoint consists of, and whether it writes its answer."""
    names = [tensor["name"] for tensor in sent(to_triton, "GET", f"/v2/models/{model}", None)["inputs"]]
    # Of a question to be written to there is one of several strings; the first is what a person says.
    return (names[:1], True) if STREAMS in names else (names, False)


def _batches(questions: Sequence[Question], inputs: Sequence[str]) -> Iterator[Sequence[Question]]:
    """Cut a list where a request would have too many questions or bytes, or other strings or parameters."""
    start = size = 0
    for index, question in enumerate(questions):
        length = sum(len(str(text).encode("utf-8", errors="surrogatepass")) for text in question.values())
        too_much = index - start == MAX_BATCH or size + length > BATCH_BYTES
        first = questions[start]
        others = question.keys() != first.keys() or _parameters(question, inputs) != _parameters(
            first, inputs
        )
        if index > start and (too_much or others):
            yield questions[start:index]
            start, size = index, 0
        size += length
    if len(questions) > start:
        yield questions[start:]


def _kind(question: Question, inputs: Sequence[str]) -> tuple[object, object]:
    """What questions of one request have in common: which strings they have, and the parameters."""
    return set(question).intersection(inputs), _parameters(question, inputs)


def _parameters(question: Question, inputs: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in question.items() if name not in inputs}


def _ask_batch(
    to_triton: http.client.HTTPConnection, path: str, questions: Sequence[Question], inputs: Sequence[str]
) -> list[EndpointAnswer]:
    shape = {"shape": [len(questions), 1], "datatype": "BYTES"}
    given = [name for name in inputs if name in questions[0]]  # of what is missing Triton says so
    tensors = [{"name": name, **shape, "data": [question[name] for question in questions]} for name in given]
    wanted = {"inputs": tensors, "outputs": [{"name": "json"}]}
    wanted["parameters"] = _parameters(questions[0], inputs)
    body = sent(to_triton, "POST", f"{path}/infer", json.dumps(wanted))
    (found,) = body["outputs"]
    answers = [json.loads(answer) for answer in found["data"]]
    # While a version is tried, each answer names the one that gave it.
    return [EndpointAnswer(one, str(one.pop("version", body["model_version"]))) for one in answers]
