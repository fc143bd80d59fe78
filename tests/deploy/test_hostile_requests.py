"""Malformed and hostile requests end no process, change no answer, and leave no memory behind.

Of what the bundled Triton itself dies of (docs/security.md) nothing is among them: that is the supervisor's.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from deploy import client, live, triton_server
from deploy.triton_server import HOST, TritonServer
from tests.deploy.conftest import SENTENCES, Bundle
from tests.deploy.writing_bundle import written_bundle

REQUESTS, BY_GRPC = 4800, 900
MOST_MEMORY = 1.2  # of what Triton and its models held before
TEXTS = [
    *SENTENCES,
    "",
    " ",
    "\x00\x01\x1b[31m",
    "\ud800",
    "\ufdd0\ufdd1",
    "א" * 3000,
    "🙂" * 500,
    "a" * 70_000,
    "<end>" * 300,
    "{{ 7 * 7 }}",
    "'; DROP TABLE runs; --",
    "../../../etc/passwd",
]
VALUES: list[Any] = [None, True, -1, 0, 2**63, -(2**63), 1e308, "", "x", [], [[]], {}, [None], ["a", 3]]
WORDS: dict[str, list[Any]] = {
    "max_tokens": [1, 3, 0, -5, 2**31 - 1, "9"],
    "temperature": [0.0, 1.0, 1e30, -1.0],
    "top_k": [0, 5, -1],
    "top_p": [0.5, 0.0, 7.0],
    "repetition_penalty": [1.0, 0.0, 1e9],
    "seed": [1, -1],
    "stop_words": [["a"], [], [""], ["x" * 200]],
    "stream": [True, False],
    "unknown": [1],
}


@pytest.fixture(scope="module")
def attacked(
    bundle: Callable[..., Bundle], free_ports: Callable[[], dict[str, int]], tmp_path_factory: Any
) -> Iterator[TritonServer]:
    """A server of its own, with an endpoint of labels and one that writes."""
    home = tmp_path_factory.mktemp("attacked") / "triton"
    server = triton_server.start(home, **free_ports())
    live.stage_version(server, "router", 1, bundle(1).folder)
    live.go_live(server, "router", 1)
    live.stage_version(server, "writer", 1, written_bundle(tmp_path_factory.mktemp("writer") / "onnx"))
    live.go_live(server, "writer", 1)
    # Triton says that a model is unloaded before its process has ended.
    until = time.monotonic() + 60
    while any("-candidate" in words for words in command_lines(server)) and time.monotonic() < until:
        time.sleep(0.1)
    yield server
    triton_server.stop(home)


def command_lines(server: TritonServer) -> list[str]:
    return [" ".join(one.cmdline()) for one in psutil.Process(server.pid).children()]


def processes(server: TritonServer) -> dict[int, int]:
    """Of the server and its models, the bytes that each holds by its pid."""
    parent = psutil.Process(server.pid)
    return {one.pid: one.memory_info().rss for one in [parent, *parent.children(recursive=True)]}


def answers(server: TritonServer) -> list[Any]:
    """What both endpoints answer to sound questions."""
    port = server.http_port
    labels = client.ask(SENTENCES, "router", http_port=port, timeout=60)
    written = client.ask([{"prompt": text} for text in SENTENCES], "writer", http_port=port, timeout=60)
    return [*labels, *written]


def spoilt(sound: Any, rng: random.Random) -> Any:
    """The same with something in it removed, added, or of another kind."""
    if isinstance(sound, dict) and sound:
        name = rng.choice(sorted(sound))
        return rng.choice(
            [
                lambda: {k: v for k, v in sound.items() if k != name},
                lambda: {**sound, rng.choice(TEXTS): rng.choice(VALUES)},
                lambda: {**sound, name: spoilt(sound[name], rng)},
                lambda: {**sound, name: rng.choice(VALUES)},
            ]
        )()
    if isinstance(sound, list) and sound:
        place = rng.randrange(len(sound))
        changed = [spoilt(one, rng) if number == place else one for number, one in enumerate(sound)]
        return rng.choice([changed, sound * 3, [], sound[:-1]])
    return rng.choice([rng.choice(TEXTS), rng.choice(VALUES)])


def body_of(name: str, rng: random.Random) -> tuple[str, Any]:
    """Where a request goes, and what it says."""
    text = rng.choice(TEXTS)
    if name == "writer":
        said = {word: rng.choice(values) for word, values in WORDS.items() if rng.random() < 0.25}
        verb = rng.choice(["generate", "generate_stream", "infer"])
        messages = json.dumps([{"role": rng.choice(["user", "system", "x"]), "content": text}])
        question = rng.choice([{"prompt": text}, {"text_input": text}, {"messages": messages}, {}])
        sound: Any = {**question, **({"max_tokens": 4} | said)}
    else:
        verb = rng.choice(["infer", "generate"])
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [text]}
        sound = {"inputs": [tensor], "outputs": [{"name": "json"}]} if verb == "infer" else {"text": text}
    return f"/v2/models/{name}/{verb}", spoilt(sound, rng) if rng.random() < 0.6 else sound


def declares_too_much(body: Any) -> bool:
    """Whether it is of what Triton itself dies of: a shape beyond all bounds, or a result as classes."""
    said = json.dumps(body)
    return "classification" in said or any(str(number) in said for number in (2**63, 2**31 - 1, -(2**63)))


def test_requests_over_http_and_grpc(attacked: TritonServer) -> None:
    rng = random.Random(20261201)
    before = answers(attacked)
    for _ in range(40):  # memory that is held once is no leak
        answers(attacked)
    held = processes(attacked)
    seen: Counter[str] = Counter()
    url = f"http://{HOST}:{attacked.http_port}"
    with httpx.Client(base_url=url, timeout=60) as http:
        for _ in range(REQUESTS):
            path, body = body_of(rng.choice(["router", "writer"]), rng)
            if declares_too_much(body):
                continue
            content = json.dumps(body).encode("utf-8", errors="replace")
            if rng.random() < 0.2:
                content = content[: rng.randrange(len(content) + 1)] + rng.randbytes(rng.randrange(9))
            said = http.post(path, content=content, headers={"Content-Type": "application/json"})
            seen[f"{said.status_code // 100}xx"] += 1
    seen += over_grpc(attacked, rng)
    assert seen["2xx"] > 500, seen
    assert seen["4xx"] + seen["5xx"] > 500, seen
    assert seen["grpc answer"] > 50, seen
    assert seen["grpc refusal"] > 200, seen
    assert processes(attacked).keys() == held.keys(), "a process ended, and another took its place"
    assert answers(attacked) == before
    for _ in range(40):
        answers(attacked)
    assert sum(processes(attacked).values()) <= MOST_MEMORY * sum(held.values())


def over_grpc(server: TritonServer, rng: random.Random) -> Counter[str]:
    """Tensors of other types, shapes and contents than those that are declared."""
    seen: Counter[str] = Counter()
    kinds = {"BYTES": object, "INT32": np.int32, "FP32": np.float32, "BOOL": bool}
    address = f"{HOST}:{server.grpc_port}"
    with tritonclient.grpc.InferenceServerClient(
        address, channel_args=[("grpc.enable_http_proxy", 0)]
    ) as grpc:
        for _ in range(BY_GRPC):
            kind = rng.choice(["BYTES", "BYTES", "BYTES", *kinds])
            shape = rng.choice([[1, 1], [1, 1], [2, 1], [1], [1, 2], [0, 1], [65, 1], [1, 1, 1]])
            count = int(np.prod(shape))
            texts = [rng.choice(TEXTS).encode("utf-8", errors="replace") for _ in range(count)]
            if rng.random() < 0.3:
                texts = [rng.randbytes(rng.randrange(40)) for _ in texts]
            array = np.array(texts, object) if kind == "BYTES" else np.ones(count, kinds[kind])
            tensor = tritonclient.grpc.InferInput(rng.choice(["text", "text", "text", "second"]), shape, kind)
            tensor.set_data_from_numpy(array.reshape(shape))
            if rng.random() < 0.2:
                tensor._raw_content = rng.randbytes(rng.randrange(30))  # other lengths than it says
            try:
                grpc.infer("router", [tensor], client_timeout=60)
                seen["grpc answer"] += 1
            except InferenceServerException:
                seen["grpc refusal"] += 1
    return seen


def test_the_files_are_what_they_were(attacked: TritonServer) -> None:
    assert live.endpoints(Path(attacked.repository)) == ["router", "writer"]
