"""Endpoints of other tasks than labels of single texts: asked as strangers and as our own client ask them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy import client, live
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.served import form_of
from tests.model_code.checkpoints import published
from tests.model_code.conftest import quiet_reporter
from tests.model_code.served.test_every_task import assert_alike
from tests.model_code.test_any_architecture import example, job_of

OPTIONS = {"matching": {"first_prompt": "user ", "second_prompt": "assistant "}}


@pytest.fixture(scope="module")
def endpoint(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """An endpoint of a task, named after it, and its form in this process."""
    made: dict[str, Any] = {}

    def of(task: str) -> Any:
        if task not in made:
            home = tmp_path_factory.mktemp(task)
            options = {"options": OPTIONS[task]} if task in OPTIONS else {}
            checkpoint = published("bert", home / "published")
            fine_tune(job_of(checkpoint, home, task, epochs=1, **options), quiet_reporter())
            config = {"pairs": False, "words": "signs", "metadata": {}}
            export_model(home / "output" / "model", home / "onnx", config)
            live.stage_version(server, task, 1, home / "onnx")
            live.go_live(server, task, 1)
            made[task] = form_of(task)(home / "onnx", threads=1)
        return made[task]

    return of


@pytest.mark.parametrize("task", ["token_classification", "question_answering", "matching"])
def test_it_answers_as_its_form_does(endpoint: Any, server: TritonServer, task: str) -> None:
    form, rng = endpoint(task), random.Random(1)
    questions = [question for _ in range(5) for question in form.questions(example(task, rng))]
    answers = client.ask(questions, task, http_port=server.http_port)
    for answer, expected in zip(answers, form.answers(questions), strict=True):
        assert_alike(answer.content, expected)
    assert client.ready_version(task, http_port=server.http_port) == 1


def test_parameters_reach_the_model_and_wrong_ones_are_refused(endpoint: Any, server: TritonServer) -> None:
    endpoint("matching")
    endpoint("token_classification")
    port = server.http_port
    sides = [{"text": "movi", "side": side} for side in ("first", "second")]
    first, second = client.ask(sides, "matching", http_port=port)
    assert first.content != second.content
    with pytest.raises(TritonError, match="side is 'third'; give one of first, second"):
        client.ask([{"text": "movi", "side": "third"}], "matching", http_port=port)
    url = f"http://127.0.0.1:{port}/v2/models/token_classification/generate"
    words = {}
    for divided in ("spaces", "signs"):
        found = httpx.post(url, json={"text": "movi, bate", "divided": divided}).json()
        words[divided] = json.loads(found["json"])["words"]
    assert words == {"spaces": ["movi,", "bate"], "signs": ["movi", ",", "bate"]}


def test_what_is_missing_empty_or_too_much_is_said(endpoint: Any, server: TritonServer) -> None:
    endpoint("question_answering")
    port = server.http_port
    both = [{"question": "who", "context": "movi"}, {"question": "who", "context": " "}]
    with pytest.raises(TritonError, match="question 2 can't be answered: its context is empty"):
        client.ask(both, "question_answering", http_port=port)
    with pytest.raises(TritonError, match="expected 2 inputs but got 1"):
        client.ask([{"question": "who"}], "question_answering", http_port=port)
    # Where all of a text is read, a request may have as much as one text.
    many = [{"question": "who", "context": "movi " * 7000}] * 2
    shape = {"shape": [2, 1], "datatype": "BYTES"}
    tensors = [{"name": name, **shape, "data": [one[name] for one in many]} for name in many[0]]
    url = f"http://127.0.0.1:{port}/v2/models/question_answering/infer"
    refused = httpx.post(url, json={"inputs": tensors}, timeout=30).json()["error"]
    assert "have 70006 bytes together, at most 65536 are taken" in refused


def test_our_client_sends_no_more_than_is_taken(endpoint: Any, server: TritonServer) -> None:
    endpoint("question_answering")
    many = [{"question": "who", "context": "movi " * 1000}] * 30  # 150 kB
    answers = client.ask(many, "question_answering", http_port=server.http_port, timeout=60)
    assert len({answer.content["answer"] for answer in answers}) == 1


def test_a_request_without_a_question_fails_alone(endpoint: Any, server: TritonServer) -> None:
    endpoint("matching")
    url = f"http://127.0.0.1:{server.http_port}/v2/models/matching/infer"
    empty = {"name": "text", "shape": [0, 1], "datatype": "BYTES", "data": []}
    assert httpx.post(url, json={"inputs": [empty]}).status_code != 200
    assert client.ready_version("matching", http_port=server.http_port) == 1


def test_an_exported_folder_is_all_that_is_served(endpoint: Any, server: TritonServer) -> None:
    endpoint("matching")
    place = Path(server.repository) / "matching-v1-model" / "1"
    assert (place / "served" / "matching.py").is_file()
    assert not list(place.rglob("*.pyc.*"))
