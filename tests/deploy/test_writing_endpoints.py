"""Endpoints that write, asked as strangers and as our own client ask them, through a real Triton."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc

from deploy import client, live, model_config, repository
from deploy.errors import TritonError
from deploy.triton_server import HOST, TritonServer
from model_code.served import form_of
from tests.deploy.writing_bundle import MAX_LENGTH, TEXTS, written_bundle


@pytest.fixture(scope="module")
def form(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The form of the endpoint `writer` in this process."""
    return deployed(server, "writer", tmp_path_factory.mktemp("writer") / "onnx")


def deployed(server: TritonServer, name: str, folder: Path, version: int = 1) -> Any:
    written_bundle(folder, version)
    live.stage_version(server, name, version, folder)
    live.go_live(server, name, version)
    return form_of("instructions")(folder, threads=1)


@pytest.fixture
def narrow(server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An endpoint that writes one text at a time, and lets two others wait."""
    monkeypatch.setattr(model_config, "MAX_WRITTEN", 1)
    monkeypatch.setattr(model_config, "MAX_WAITING", 3)
    monkeypatch.setattr(model_config, "MAX_SECONDS", 30)
    name = f"narrow-{tmp_path.name.replace('_', '-')}"[:60]
    deployed(server, name, tmp_path / "onnx")
    return name


def url_of(server: TritonServer, name: str, verb: str = "generate") -> str:
    return f"http://{HOST}:{server.http_port}/v2/models/{name}/{verb}"


def grpc_client(server: TritonServer) -> tritonclient.grpc.InferenceServerClient:
    address = f"{HOST}:{server.grpc_port}"
    return tritonclient.grpc.InferenceServerClient(address, channel_args=[("grpc.enable_http_proxy", 0)])


def test_it_writes_what_its_form_writes_whoever_else_is_answered(form: Any, server: TritonServer) -> None:
    questions = [{"text_input": "a" * (number + 1), "max_tokens": 3 + 5 * number} for number in range(24)]
    answers = client.ask(questions, "writer", http_port=server.http_port)
    assert [answer.content for answer in answers] == form.answers(questions)
    assert {answer.model_version for answer in answers} == {"1"}


def test_a_prompt_a_conversation_and_its_json_are_asked_alike(form: Any, server: TritonServer) -> None:
    said = [{"role": "user", "content": "看海"}]
    questions = [{"prompt": "看海"}, {"messages": json.dumps(said)}]
    answers = [answer.content for answer in client.ask(questions, "writer", http_port=server.http_port)]
    assert answers[0] == answers[1] == form.answers([{"messages": said}])[0]
    assert answers[0]["finish_reason"] == "length"
    assert answers[0]["num_output_tokens"] == 24


def test_pieces_are_the_whole_text(form: Any, server: TritonServer) -> None:
    question = {"text_input": "a", "max_tokens": 61}  # which ends inside of a character
    [whole] = form.answers([question])
    came = [
        answer.content for answer in client.stream(question, "writer", http_port=server.http_port, timeout=20)
    ]
    assert "".join(piece["text_output"] for piece in came) == whole["text_output"]
    assert len(came) > 20
    assert all("�" not in piece["text_output"] for piece in came)
    assert {**came[-1], "text_output": whole["text_output"]} == whole


def test_grpc_streams_with_the_tensors_of_nvidias_generators(form: Any, server: TritonServer) -> None:
    came: queue.Queue[Any] = queue.Queue()
    given = {
        "text_input": (np.array([["看".encode()]], object), "BYTES"),
        "max_tokens": (np.array([[12]], np.int32), "INT32"),
        "temperature": (np.array([[0.5]], np.float32), "FP32"),
        "top_k": (np.array([[1]], np.int32), "INT32"),
        "top_p": (np.array([[0.9]], np.float32), "FP32"),
        "repetition_penalty": (np.array([[1.0]], np.float32), "FP32"),
        "seed": (np.array([[7]], np.uint64), "UINT64"),
        "stop_words": (np.array([[b"nowhere", "的".encode()]], object), "BYTES"),
        "stream": (np.array([[True]]), "BOOL"),
        "return_num_input_tokens": (np.array([[True]]), "BOOL"),
        "return_num_output_tokens": (np.array([[True]]), "BOOL"),
    }
    tensors = []
    for name, (array, kind) in given.items():
        tensors.append(tritonclient.grpc.InferInput(name, list(array.shape), kind))
        tensors[-1].set_data_from_numpy(array)
    with grpc_client(server) as grpc:
        grpc.start_stream(lambda result, error: came.put(error or result))
        grpc.async_stream_infer("writer", tensors, enable_empty_final_response=True)
        pieces = []
        while True:
            result = came.get(timeout=20)
            pieces.append(result.as_numpy("text_output")[0, 0].decode())
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
        grpc.stop_stream()
    [whole] = form.answers([{"text_input": "看", "max_tokens": 12, "stop_words": ["的"]}])
    assert "".join(pieces) == whole["text_output"]
    assert result.as_numpy("finish_reason")[0, 0] == b"stop"
    assert result.as_numpy("num_input_tokens")[0, 0] == whole["num_input_tokens"]


def test_several_rows_are_answered_in_one_response(form: Any, server: TritonServer) -> None:
    body = {"text_input": ["a", "aa"], "max_tokens": [5, 9]}
    said = httpx.post(url_of(server, "writer"), json=body).json()
    expected = form.answers([{"text_input": "a", "max_tokens": 5}, {"text_input": "aa", "max_tokens": 9}])
    assert said["text_output"] == [answer["text_output"] for answer in expected]
    refused = httpx.post(url_of(server, "writer"), json={**body, "stream": [True, True]}).json()["error"]
    assert refused == "a request that streams has one question, this one has 2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_tokens": 5}, "give one of prompt, messages, text_input; it has none"),
        ({"prompt": "a", "max_tokens": MAX_LENGTH}, f"give a whole number from 1 to {MAX_LENGTH - 1}"),
        ({"prompt": "a", "temperature": -2.0}, "temperature is -2.0; give a number from 0"),
        ({"prompt": "a", "beams": 4}, "there is no parameter beams; there are max_tokens, messages,"),
        ({"prompt": "a" * 70_000}, "its prompt has 70000 bytes, at most 65536 are taken"),
        ({"messages": "{"}, "its messages are not JSON"),
    ],
)
def test_what_can_not_be_answered_is_said(
    form: Any, server: TritonServer, body: dict[str, Any], said: str
) -> None:
    response = httpx.post(url_of(server, "writer"), json=body)
    assert response.status_code >= 400
    assert said in response.json()["error"]
    with pytest.raises(TritonError, match="Triton refused the request to 'writer'"):
        list(client.stream({"prompt": "a", "seed": -1}, "writer", http_port=server.http_port))


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def leave_http(server: TritonServer, name: str, question: dict[str, Any]) -> None:
    """Read one event of a stream, and close the connection."""
    with httpx.stream("POST", url_of(server, name, "generate_stream"), json=question) as response:
        next(response.iter_lines())


def leave_grpc(server: TritonServer, name: str, question: dict[str, Any]) -> None:
    """Ask for the whole text, and cancel."""
    text = tritonclient.grpc.InferInput("text_input", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[question["text_input"].encode()]], object))
    most = tritonclient.grpc.InferInput("max_tokens", [1, 1], "INT32")
    most.set_data_from_numpy(np.array([[question["max_tokens"]]], np.int32))
    with grpc_client(server) as grpc:
        grpc.start_stream(lambda result, error: None)
        grpc.async_stream_infer(name, [text, most])
        time.sleep(0.1)
        grpc.stop_stream(cancel_requests=True)


@pytest.mark.parametrize("leave", [leave_http, leave_grpc])
def test_a_client_that_leaves_stops_the_work(
    narrow: str, server: TritonServer, leave: Callable[..., None]
) -> None:
    long: dict[str, Any] = {"text_input": "a", "max_tokens": 5000}
    streams = {"stream": True} if leave is leave_http else {}

    def ask(question: dict[str, Any]) -> None:
        client.ask([question], narrow, http_port=server.http_port, timeout=60)

    def next_is_quick() -> bool:
        undisturbed = seconds_of(lambda: ask(long))
        leave(server, narrow, long | streams)
        # One text is written at a time: this one would have to wait for that of the client that has left.
        return seconds_of(lambda: ask({**long, "max_tokens": 1})) < undisturbed / 2

    assert any(next_is_quick() for _ in range(4))  # a busy machine may be slow once


def test_too_many_and_too_slow_requests_are_refused_and_the_rest_is_answered(
    narrow: str, server: TritonServer
) -> None:
    def ask() -> str:
        question = {"text_input": "a", "max_tokens": 3000}
        return str(httpx.post(url_of(server, narrow), json=question, timeout=60).json())

    with ThreadPoolExecutor(8) as side_by_side:
        said = [future.result() for future in [side_by_side.submit(ask) for _ in range(8)]]
    refused = [one for one in said if "at most 3 may; ask again later" in one]
    assert 1 <= len(refused) <= 5
    assert sum("finish_reason" in one for one in said) == 8 - len(refused)


def test_a_stream_that_has_nothing_to_say_gives_signs_of_life(
    server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_config, "MAX_WRITTEN", 1)
    deployed(server, "lively", tmp_path / "onnx")
    long, short = ({"text_input": "a", "max_tokens": most} for most in (5900, 3))
    with ThreadPoolExecutor(8) as side_by_side:
        before = [
            side_by_side.submit(client.ask, [long], "lively", http_port=server.http_port, timeout=60)
            for _ in range(8)
        ]
        time.sleep(0.2)
        answers = client.stream(short, "lively", http_port=server.http_port)
        came = [answer.content["text_output"] for answer in answers]
        assert all(one.result() for one in before)
    assert came[0] == ""
    assert came[-1]


def test_a_text_that_takes_too_long_is_refused(
    server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_config, "MAX_SECONDS", 1.5)
    monkeypatch.setattr(model_config, "MAX_WRITTEN", 1)
    deployed(server, "hasty", tmp_path / "onnx")

    def ask(_: int) -> dict[str, Any]:
        question = {"text_input": "a", "max_tokens": 5900}
        said: dict[str, Any] = httpx.post(url_of(server, "hasty"), json=question, timeout=60).json()
        return said

    with ThreadPoolExecutor(12) as side_by_side:
        said = list(
            side_by_side.map(ask, range(12))
        )  # one after the other, which takes too long for the last
    refused = [one["error"] for one in said if "error" in one]
    assert refused
    assert {*refused} == {"the answer took more than 1.5 s; ask for fewer max_tokens"}


def test_a_switch_lets_texts_end_as_they_began(server: TritonServer, tmp_path: Path) -> None:
    port, name = server.http_port, "switched"
    first = deployed(server, name, tmp_path / "1")
    second = form_of("instructions")(written_bundle(tmp_path / "2", 2), threads=1)
    question = {"text_input": "a", "max_tokens": 2000}
    came: list[client.EndpointAnswer] = []
    begun = threading.Event()

    def read() -> None:
        for answer in client.stream(question, name, http_port=port, timeout=60):
            came.append(answer)
            begun.set()

    reader = threading.Thread(target=read)
    live.stage_version(server, name, 2, tmp_path / "2")
    reader.start()
    assert begun.wait(30)
    live.go_live(server, name, 2)
    [answer] = client.ask([{**question, "max_tokens": 9}], name, http_port=port)
    assert (answer.model_version, answer.content) == ("2", second.answers([{**question, "max_tokens": 9}])[0])
    reader.join(60)
    assert "".join(one.content["text_output"] for one in came) == first.answers([question])[0]["text_output"]
    assert {one.model_version for one in came} == {"1"}
    assert live.roll_back(server, name) == 1
    [answer] = client.ask([{**question, "max_tokens": 9}], name, http_port=port)
    assert answer.content["text_output"].strip() in TEXTS[1] * 2
    files = repository.served_files(Path(server.repository), name, 1)
    assert f"{name}-v1-model/1/model.onnx" in files


def test_a_killed_process_is_started_anew(
    server: TritonServer, tmp_path: Path, kill_process: Callable[[str], None]
) -> None:
    deployed(server, "mortal", tmp_path / "onnx")
    kill_process("mortal")
    live.revive(server, "mortal")
    assert client.ready_version("mortal", http_port=server.http_port) == 1


def test_a_damaged_graph_is_refused_and_the_old_one_goes_on(server: TritonServer, tmp_path: Path) -> None:
    deployed(server, "careful", tmp_path / "1")
    written_bundle(tmp_path / "2", 2)
    (tmp_path / "2" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(TritonError, match=r"model\.onnx"):
        live.stage_version(server, "careful", 2, tmp_path / "2")
    assert client.ready_version("careful", http_port=server.http_port) == 1
    assert live.endpoints(Path(server.repository)).count("careful") == 1
