"""Questions to a real server get the answers that ONNX Runtime gives alone."""

import json
import socket
import subprocess
import sys
from dataclasses import replace

import httpx
import pytest

from deploy import client, live, model_config
from deploy.errors import TritonError
from tests.deploy.conftest import LABELS, MAX_LENGTH

TEXTS = {
    "english": "the bank raised its rates",
    "chinese": "今天的比赛很精彩",
    "empty": "",
    "truncated": "rain and wind tomorrow " * 50,
    "emoji and control characters": "☔\x00\t\n🌧️",
}


@pytest.fixture(scope="module")
def port(server, bundle):
    live.stage_version(server, "router", 1, bundle(1).folder)
    live.go_live(server, "router", 1)
    return server.http_port


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_answer_equals_direct_onnxruntime(port, bundle, text):
    (answer,) = client.ask([text], "router", http_port=port)
    expected = bundle(1).expected(text)
    assert answer.content["probabilities"] == pytest.approx(dict(expected), abs=1e-6)
    assert list(answer.content["probabilities"]) == list(LABELS)
    assert (answer.content["label"], answer.content["probability"]) == pytest.approx(expected[0], abs=1e-6)
    assert answer.model_version == "1"


def test_the_tensors_and_the_generate_extension_say_the_same(port, bundle):
    labels, probabilities = zip(*bundle(1).expected("rain"), strict=True)
    url = f"http://127.0.0.1:{port}/v2/models/router"
    shape = {"name": "text", "shape": [1, 1], "datatype": "BYTES"}
    found = httpx.post(f"{url}/infer", json={"inputs": [{**shape, "data": ["rain"]}]}).json()
    tensors = {tensor["name"]: tensor["data"] for tensor in found["outputs"]}
    assert tensors["labels"] == list(labels)
    assert tensors["probabilities"] == pytest.approx(probabilities, abs=1e-6)
    assert json.loads(tensors["json"][0])["label"] == labels[0]
    generated = httpx.post(f"{url}/generate", json={"text": "rain"}).json()
    assert (generated["labels"], generated["json"]) == (tensors["labels"], tensors["json"][0])
    assert generated["model_version"] == "1"


def test_more_texts_than_a_batch_keep_their_order(port, bundle):
    texts = [f"text {number} " * (number % 30) for number in range(client.MAX_BATCH * 2 + 7)]
    answers = client.ask(texts, "router", http_port=port)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        assert answer.content["probability"] == pytest.approx(bundle(1).expected(text)[0][1], abs=1e-5)


def test_a_text_beyond_the_bound_is_refused_by_name_and_the_rest_goes_on(port, monkeypatch):
    most = model_config.max_text_bytes(MAX_LENGTH)
    monkeypatch.setattr(client, "BATCH_BYTES", 10**9)
    assert client.ask(["a " * (most // 2)], "router", http_port=port)
    with pytest.raises(TritonError, match=rf"text 2 has {most + 1} bytes, at most {most} are taken; shorten"):
        client.ask(["short", "a" * (most + 1)], "router", http_port=port)
    with pytest.raises(TritonError, match=rf"text 1 has {3 * (most // 3 + 1)} bytes"):
        client.ask(["今" * (most // 3 + 1)], "router", http_port=port)


def test_many_long_texts_are_sent_in_several_requests_and_refused_in_one(port, monkeypatch):
    texts = ["a " * (model_config.max_text_bytes(MAX_LENGTH) // 2)] * 9
    assert len(client.ask(texts, "router", http_port=port, timeout=60)) == 9
    bound = client.MAX_REQUEST_BYTES
    monkeypatch.setattr(client, "BATCH_BYTES", 10**9)
    with pytest.raises(TritonError, match=rf"have {9 * len(texts[0])} bytes together, at most {bound}"):
        client.ask(texts, "router", http_port=port)


def test_a_request_with_more_texts_than_a_batch_is_refused(port, monkeypatch):
    monkeypatch.setattr(client, "MAX_BATCH", 1000)
    with pytest.raises(TritonError, match="must be <= 64"):
        client.ask(["a"] * 65, "router", http_port=port)


def test_no_texts_are_no_answers(port):
    assert client.ask([], "router", http_port=port) == []


def test_missing_model_and_version_name_the_way_out(port):
    with pytest.raises(TritonError, match=r"serves no model 'nobody'.*textmill run"):
        client.ask(["x"], "nobody", http_port=port)
    with pytest.raises(TritonError, match="serves no model 'router'"):
        client.ask(["x"], "router", version=9, http_port=port)
    assert client.ready_version("nobody", http_port=port) is None


def test_text_that_is_not_unicode_is_refused(port):
    with pytest.raises(TritonError, match="refused the request to 'router'"):
        client.ask(["\ud800"], "router", http_port=port)


def test_unreachable_server_names_the_way_out(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody can take the port meanwhile
        port = unused.getsockname()[1]
        with pytest.raises(TritonError, match=rf"does not answer on 127.0.0.1:{port}.*textmill up"):
            client.ask(["x"], "router", http_port=port)
        with pytest.raises(TritonError, match=rf"does not answer on 127.0.0.1:{port}.*textmill up"):
            client.load("router", replace(server, grpc_port=port))


def test_ready_version_sees_a_dead_model_process(server, bundle, kill_process):
    live.stage_version(server, "mortal", 1, bundle(1).folder)
    live.go_live(server, "mortal", 1)
    assert client.ready_version("mortal", http_port=server.http_port) == 1
    kill_process("mortal-v1-model")
    assert client.ready_version("mortal", http_port=server.http_port) is None


def test_import_stays_light():
    heavy = "{'numpy', 'tritonclient', 'grpc', 'onnxruntime'} & set(sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys, deploy.client, deploy.live; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert result.stdout.strip() == "set()"
