"""What the door does not do, or not for everyone: refused by its name, in OpenAI's shape."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "rain"}], "max_tokens": 4}
TEXT = {"model": "chat", "prompt": "rain", "max_tokens": 4}
VECTORS = {"model": "vectors", "input": "rain"}
PATHS = {"messages": "/v1/chat/completions", "prompt": "/v1/completions", "input": "/v1/embeddings"}


def post(door: str, body: dict[str, Any]) -> httpx.Response:
    path = next(path for name, path in PATHS.items() if name in body)
    return httpx.post(door + path, json=body, timeout=30)


NOT_DONE = [
    (CHAT, {"n": 2}, "n can't be honoured: a request has one choice; send one for each"),
    (CHAT, {"n": True}, "n can't be honoured"),
    (CHAT, {"tools": [{"type": "function"}]}, "tools can't be honoured: the models here call no tools"),
    (CHAT, {"tool_choice": "required"}, "tool_choice can't be honoured"),
    (CHAT, {"logprobs": True}, "logprobs can't be honoured: the endpoints say no probabilities of tokens"),
    (CHAT, {"logprobs": True, "top_logprobs": 2}, "logprobs can't be honoured"),
    (CHAT, {"logit_bias": {"5": 1}}, "logit_bias can't be honoured"),
    (
        CHAT,
        {"response_format": {"type": "json_object"}},
        "response_format can't be honoured: replies are plain",
    ),
    (CHAT, {"frequency_penalty": 0.5}, "frequency_penalty can't be honoured: give `repetition_penalty`"),
    (CHAT, {"reasoning_effort": "high"}, "reasoning_effort can't be honoured"),
    (CHAT, {"modalities": ["text", "audio"]}, "modalities can't be honoured"),
    (CHAT, {"audio": {"voice": "x"}}, "audio can't be honoured"),
    (CHAT, {"store": True}, "store can't be honoured: nothing is kept here"),
    (CHAT, {"top_q": 1}, 'there is no parameter "top_q" here; there are max_completion_tokens, max_tokens'),
    (CHAT, {"temperature": 3}, "temperature is 3; give a number from 0 to 2"),
    (CHAT, {"temperature": "hot"}, 'temperature is "hot"; give a number'),
    (CHAT, {"top_p": 0}, "top_p is 0, so no token would be left"),
    (CHAT, {"seed": -1}, "seed is -1; give a whole number from 0 to 9223372036854775807"),
    (CHAT, {"seed": 10**400}, "give a whole number"),
    (CHAT, {"max_tokens": 0}, "max_tokens is 0; give a whole number from 1"),
    (
        CHAT,
        {"max_tokens": None, "max_completion_tokens": True},
        "max_completion_tokens is true; give a whole",
    ),
    (CHAT, {"max_completion_tokens": 5}, "max_tokens is 4 and max_completion_tokens 5; give one"),
    (CHAT, {"stop": ["x"] * 17}, "give a text, or a list of 1 to 16"),
    (CHAT, {"stop": [""]}, "the stop word '' has 0 characters"),
    (CHAT, {"stream": "yes"}, 'stream is "yes"; give true or false'),
    (CHAT, {"stream_options": {"include_usage": True}}, "stream_options goes with `stream: true` alone"),
    (CHAT, {"stream": True, "stream_options": {"x": 1}}, 'there is no parameter "x" here'),
    (CHAT, {"model": "labels"}, "labels takes no conversations; ask it at /ask/labels"),
    (CHAT, {"model": "translate"}, "translate takes no conversations; ask it at /v1/completions"),
    (CHAT, {"messages": []}, "messages is []; give a list of 1 to 1000"),
    (CHAT, {"messages": None}, "messages is missing"),
    (CHAT, {"messages": ["hi"]}, 'messages[0] is "hi"; give its role and its content'),
    (
        CHAT,
        {"messages": [{"role": "tool", "content": "x"}]},
        'the role of messages[0] is "tool"; give one of',
    ),
    (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content is missing; give a text"),
    (CHAT, {"messages": [{"role": "user", "content": "a", "name": "b"}]}, 'messages[0] has "name", which'),
    (CHAT, {"messages": [{"role": "assistant", "content": "a"}]}, "end with what the user says"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        'a part of the type "image_url"',
    ),
    (TEXT, {"echo": True}, "echo can't be honoured: the prompt is not repeated"),
    (TEXT, {"best_of": 3}, "best_of can't be honoured"),
    (TEXT, {"suffix": "end"}, "suffix can't be honoured"),
    (TEXT, {"logprobs": 0}, "logprobs can't be honoured"),
    (TEXT, {"prompt": ["a", "b"]}, "prompt has 2 texts; send a request for each"),
    (TEXT, {"prompt": [1, 2]}, "prompt is token ids, and the endpoint takes texts"),
    (TEXT, {"model": "vectors"}, "vectors writes no texts; ask it at /v1/embeddings, or /ask/vectors"),
    (VECTORS, {"model": "chat"}, "chat gives no vectors; ask it at /v1/chat/completions, or /v1/completions"),
    (VECTORS, {"encoding_format": "hex"}, 'encoding_format is "hex"; give one of float, base64'),
    (VECTORS, {"input": []}, "input is []; give a text, or a list of 1 to 2048"),
    (VECTORS, {"input": [[1, 2]]}, "input is token ids"),
    (VECTORS, {"side": "third"}, 'side is "third"; give one of first, second'),
]


@pytest.mark.parametrize(
    ("body", "change", "message"), NOT_DONE, ids=[str(change) for _, change, _ in NOT_DONE]
)
def test_what_can_not_be_honoured_is_refused_by_its_name(
    door: str, body: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    response = post(door, {**body, **change})
    error = response.json()["error"]
    assert response.status_code == 400
    assert message in error["message"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_what_asks_for_nothing_is_taken(door: str) -> None:
    nothing: dict[str, Any] = {
        "n": 1,
        "tools": [],
        "tool_choice": "auto",
        "logprobs": False,
        "logit_bias": {},
    }
    nothing |= {"response_format": {"type": "text"}, "frequency_penalty": 0, "presence_penalty": 0.0}
    nothing |= {
        "user": "me",
        "seed": None,
        "stop": None,
        "store": False,
        "stream": False,
        "service_tier": "auto",
    }
    for body in (CHAT, TEXT):
        assert post(door, {**body, **nothing}).json()["usage"]["completion_tokens"] == 4


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, "the body is not JSON"),
    "no object": (b"[1]", 400, "the body is [1]; send a JSON object"),
    "no UTF-8": (b'{"model": "\xff"}', 400, "the body is not JSON"),
    "not a number": (b'{"model": "chat", "temperature": NaN}', 400, "NaN is no number of JSON"),
    "infinity": (b'{"model": "chat", "prompt": "a", "temperature": 1e999}', 400, "temperature is Infinity"),
    "thousands of digits": (b'{"seed": ' + b"9" * 5000 + b"}", 400, "the body is not JSON"),
    "40,000 brackets": (b'{"model": ' + b"[" * 40_000 + b"]" * 40_000 + b"}", 400, "brackets in each other"),
    "40 brackets": (b'{"model": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "more than 32 brackets in each other"),
    "half a character": (b'{"model": "chat", "prompt": "\\ud800"}', 400, "prompt has half a character"),
    "too long": (b'{"model": "chat", "prompt": "' + b"a" * (1 << 20) + b'"}', 413, "more than 1048576 bytes"),
    "a text too long": (
        b'{"model": "chat", "prompt": "' + b"a" * 70_000 + b'"}',
        400,
        "at most 65536 are taken",
    ),
    "no model": (b'{"prompt": "a"}', 404, "model is missing; give one of alike, chat"),
    "a path": (b'{"model": "../chat", "prompt": "a"}', 404, "there is no model '../chat'"),
    "a version's model": (b'{"model": "chat-v1-model", "prompt": "a"}', 404, "there is no model"),
}


@pytest.mark.parametrize(("body", "status", "message"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_can_not_be_read_is_refused_and_the_door_goes_on(
    door: str, body: bytes, status: int, message: str
) -> None:
    headers = {"content-type": "application/json"}
    response = httpx.post(f"{door}/v1/completions", content=body, headers=headers, timeout=30)
    assert (response.status_code, message in response.json()["error"]["message"]) == (status, True), (
        response.text
    )
    assert post(door, TEXT).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "models.example.org", "Origin": "https://models.example.org"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
    ids=str,
)
def test_names_and_origins(door: str, headers: dict[str, str], status: int) -> None:
    headers = {"Content-Type": "application/json", **headers}
    response = httpx.post(f"{door}/v1/completions", content=json.dumps(TEXT), headers=headers)
    assert response.status_code == status
    assert status == 200 or response.json()["error"]["message"]
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_link_may_be_followed_and_nothing_is_read_by_other_pages(door: str) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    followed = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert httpx.get(door, headers=other | followed).status_code == 200
    assert httpx.get(f"{door}/endpoints", headers=other | {"Sec-Fetch-Mode": "cors"}).status_code == 403


def test_the_key_opens_all_but_the_files_of_the_page(locked_door: str) -> None:
    for path in ("/", "/page.js", "/page.css", "/icon.svg", "/health"):
        assert httpx.get(locked_door + path).status_code == 200
    for given in ({}, {"Authorization": "Bearer sk-righ"}, {"Authorization": "Basic sk-right"}):
        for path in ("/endpoints", "/v1/models", "/v1/models/chat", "/nothing"):
            response = httpx.get(locked_door + path, headers=given)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == "invalid_api_key"
        asked = httpx.post(f"{locked_door}/ask/labels", json={"text": "rain"}, headers=given)
        assert asked.status_code == 401
    right = {"Authorization": "bearer sk-right"}
    assert httpx.get(f"{locked_door}/v1/models", headers=right).status_code == 200


def test_paths_and_methods_that_there_are_not(door: str) -> None:
    assert "there is no /v1/files here; there are /v1/models" in httpx.get(f"{door}/v1/files").text
    response = httpx.get(f"{door}/v1/completions")
    assert (response.status_code, response.json()["error"]["message"]) == (
        405,
        "/v1/completions is not asked by GET",
    )


def test_other_tasks_are_asked_in_their_own_words(door: str) -> None:
    said = httpx.post(f"{door}/ask/labels", json={"text": "rain"}).json()
    assert (said["model"], said["version"], said["answer"]["label"]) == ("labels", 1, "wet")
    assert said["milliseconds"] > 0
    question = {"question": "who", "context": "it was Jane Doe 🙂"}
    assert httpx.post(f"{door}/ask/passages", json=question).json()["answer"]["answer"] == "Jane Doe"
    words = httpx.post(f"{door}/ask/names", json={"text": "in Oslo", "divided": "characters"}).json()
    assert words["answer"]["entities"][0]["text"] == "Oslo"
    for body, message in (
        ({}, "text is missing; give a text"),
        ({"text": 1}, "text is 1; give a text"),
        ({"text": "a", "classification": 3}, 'a question has no "classification" here; there are text'),
    ):
        response = httpx.post(f"{door}/ask/labels", json=body)
        assert (response.status_code, message in response.text.replace('\\"', '"')) == (400, True), (
            response.text
        )
    assert "chat writes texts; ask it at /v1/chat" in httpx.post(f"{door}/ask/chat", json={"text": "a"}).text
