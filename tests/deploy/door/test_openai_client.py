"""OpenAI's own client at the door: what works there works here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.deploy.door.small_endpoints import AGAIN, REPLY, VECTOR, WORDS

openai = pytest.importorskip("openai", reason="make install brings it with requirements-dev.lock")
HELLO: Any = [{"role": "user", "content": "rain"}]


@pytest.fixture(scope="module")
def client(door: str) -> Any:
    return openai.OpenAI(base_url=f"{door}/v1", api_key="none", max_retries=0)


def test_models_are_the_endpoints(client: Any) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"chat", "labels", "names", "passages", "slow", "translate", "vectors"} <= set(listed)
    assert client.models.retrieve("chat").id == "chat"
    assert listed["chat"].owned_by == "textmill"
    assert listed["chat"].created > 1_700_000_000
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt'; give one of alike, chat"):
        client.models.retrieve("gpt")


def test_a_reply_with_its_usage(client: Any) -> None:
    said = client.chat.completions.create(model="chat", messages=HELLO)
    (choice,) = said.choices
    assert choice.message.content == " ".join(WORDS)
    assert (choice.message.role, choice.finish_reason, said.model) == ("assistant", "stop", "chat")
    assert said.system_fingerprint == "chat-v1"
    # <s> user </s> rain </s> assistant </s>, and the end of the reply is no token of it
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (7, len(WORDS))
    assert said.usage.total_tokens == 7 + len(WORDS)


def test_a_reply_in_pieces_is_the_same(client: Any) -> None:
    whole = client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5)
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model="chat", messages=HELLO, max_completion_tokens=5, stream=True, stream_options=options
    )
    *chunks, last = stream
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert len(chunks) == 1 + 5 + 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == [
        "length"
    ]
    assert (last.choices, last.usage) == ([], whole.usage)
    assert len({chunk.id for chunk in chunks}) == 1


def test_who_does_not_ask_for_the_usage_gets_none(client: Any) -> None:
    chunks = list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_roles_and_parts_of_text_are_read(client: Any) -> None:
    parts = [{"type": "text", "text": "rain "}, {"type": "text", "text": "sun"}]
    messages: Any = [
        {"role": "developer", "content": "sun"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "one", "refusal": None, "tool_calls": []},
        {"role": "user", "content": "rain"},
    ]
    said = client.chat.completions.create(model="chat", messages=messages)
    assert said.usage.prompt_tokens == 1 + 4 + 5 + 4 + 4 + 2


def test_it_stops_at_a_word_draws_by_a_seed_and_is_the_likeliest_when_nothing_is_said(client: Any) -> None:
    def text(**said: Any) -> str:
        reply = client.chat.completions.create(model="chat", messages=HELLO, **said)
        return str(reply.choices[0].message.content)

    assert text(stop="five") == text(stop=["x", "five"]) == " ".join(WORDS[:4])
    assert text() == text(temperature=0) == text(extra_body={"top_k": 1}) == " ".join(WORDS)
    drawn = {seed: text(seed=seed, temperature=2, max_tokens=12) for seed in range(3)}
    assert drawn[1] == text(seed=1, temperature=2, max_tokens=12)
    assert len(set(drawn.values())) > 1


def test_a_text_goes_on_and_a_translation_is_one(client: Any) -> None:
    said = client.completions.create(model="chat", prompt=AGAIN, max_tokens=3)
    assert (said.choices[0].text, said.choices[0].finish_reason) == (" ".join([AGAIN] * 3), "length")
    assert (said.object, said.usage.prompt_tokens, said.usage.completion_tokens) == ("text_completion", 1, 3)
    assert client.completions.create(model="chat", prompt=AGAIN).usage.completion_tokens == REPLY
    translated = client.completions.create(model="translate", prompt=["rain sun"])
    assert translated.choices[0].text == " ".join(WORDS)
    pieces = list(client.completions.create(model="translate", prompt="sun", stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == " ".join(WORDS)
    assert pieces[-1].choices[0].finish_reason == "stop"


def test_vectors_in_both_encodings_of_many_texts_in_their_order(client: Any) -> None:
    texts = [("rain sun " * number).strip() + " one" for number in range(150)]
    as_bytes = client.embeddings.create(model="vectors", input=texts)  # the client asks for base64 itself
    as_lists = client.embeddings.create(model="vectors", input=texts, encoding_format="float")
    found, expected = ([one.embedding for one in said.data] for said in (as_bytes, as_lists))
    assert np.allclose(found, expected, atol=1e-7)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert [one.index for one in as_bytes.data] == list(range(150))
    assert len({tuple(vector) for vector in found}) == 150
    assert as_bytes.usage.prompt_tokens == sum(len(text.split()) for text in texts)


def test_a_vector_can_be_of_the_second_text_of_a_pair_or_shorter_where_that_was_trained(client: Any) -> None:
    def vector(text: str, **said: Any) -> list[float]:
        asked = client.embeddings.create(model="vectors", input=text, encoding_format="float", **said)
        return list(asked.data[0].embedding)

    assert vector("sun", extra_body={"side": "second"}) == pytest.approx(vector("rain sun"), abs=1e-6)
    whole, cut = np.array(vector("sun", dimensions=VECTOR)), vector("sun", dimensions=2)
    assert cut == pytest.approx(whole[:2] / np.linalg.norm(whole[:2]), abs=1e-6)
    with pytest.raises(openai.BadRequestError, match="dimensions is 3, and this model was trained for 2, 4"):
        vector("sun", dimensions=3)


TOO_MUCH = "max_tokens is 100000; give a whole number from 1 to 4095"


def test_what_triton_refuses_is_a_status_also_of_a_stream(client: Any) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match=TOO_MUCH):
            client.chat.completions.create(model="chat", messages=HELLO, max_tokens=100_000, stream=stream)
    with pytest.raises(openai.BadRequestError, match="prompt has 4001 tokens") as refused:
        client.completions.create(model="chat", prompt="rain " * 4001, max_tokens=1000)
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.type == "invalid_request_error"


def test_the_key_is_asked_for(locked_door: str) -> None:
    right = openai.OpenAI(base_url=f"{locked_door}/v1", api_key="sk-right")
    assert right.chat.completions.create(model="chat", messages=HELLO).choices
    wrong = openai.OpenAI(base_url=f"{locked_door}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="give the key of this server"):
        wrong.models.list()


def test_who_leaves_ends_the_work(client: Any, counted: Path) -> None:
    """Of a stream and of a text that comes whole; else each would be 2000 tokens, and take 20 seconds."""
    counted.unlink(missing_ok=True)
    stream = client.completions.create(model="slow", prompt=AGAIN, max_tokens=2000, stream=True)
    assert [next(stream).choices[0].text for _ in range(5)]
    stream.close()
    assert _rests_at(counted) < 400
    counted.unlink()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).completions.create(model="slow", prompt=AGAIN, max_tokens=2000)
    assert 0 < _rests_at(counted) < 400


def _rests_at(counted: Path) -> int:
    """How many tokens there are when no more come."""
    before, now = -1, 0
    while now != before:
        before = now
        time.sleep(0.5)
        now = counted.stat().st_size if counted.exists() else 0
    return now
