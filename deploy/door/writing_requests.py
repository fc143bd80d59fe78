"""Requests of OpenAI's API for a text, as questions to an endpoint that writes.

Where a client says nothing of temperature, `top_p` or `seed`, the text is the likeliest one: that is how the
model was judged. OpenAI's own default would draw it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.door.bodies import flag, number, shown, text_of, texts_of, whole
from deploy.door.endpoints import ServedEndpoint
from deploy.door.refusals import Refusal
from deploy.door.unsupported import refuse_unsupported

MOST_STOPS, MOST_MESSAGES = 16, 1000
GREATEST_INT32, GREATEST_SEED = 2**31 - 1, 2**63 - 1
HOW = ("max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop")
STREAMING = ("stream", "stream_options")
# What OpenAI's roles are to the models here.
ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# Fields of a message that clients send back as they got them; what they hold can't be read.
_EMPTY_FIELDS = ("name", "refusal", "tool_calls", "function_call", "audio", "annotations", "tool_call_id")


@dataclass(frozen=True)
class WritingRequest:
    """A question as Triton's generate extension takes it, and how its answer is to come."""

    question: Mapping[str, Any]
    streams: bool
    counts: bool  # a stream that ends with the usage


def chat_request(said: Mapping[str, Any], endpoint: ServedEndpoint) -> WritingRequest:
    """The request for a reply. Raises Refusal for what can't be honoured."""
    if not endpoint.replies:
        raise Refusal(400, f"{endpoint.name} takes no conversations; {way_to(endpoint)}", "model")
    refuse_unsupported(said, ("model", "messages", "max_completion_tokens", *HOW, *STREAMING))
    messages = json.dumps(_messages(said.get("messages")), ensure_ascii=False)
    return _request(said, {"messages": messages})


def completion_request(said: Mapping[str, Any], endpoint: ServedEndpoint) -> WritingRequest:
    """The request for how a text goes on, or for its translation. Raises Refusal as `chat_request`."""
    if not endpoint.writes:
        raise Refusal(400, f"{endpoint.name} writes no texts; {way_to(endpoint)}", "model")
    refuse_unsupported(said, ("model", "prompt", *HOW, *STREAMING))
    prompts = texts_of(said.get("prompt"), "prompt", most=MOST_MESSAGES)
    if len(prompts) > 1:
        raise Refusal(400, f"prompt has {len(prompts)} texts; send a request for each", "prompt")
    return _request(said, {"text_input": prompts[0]})


def way_to(endpoint: ServedEndpoint) -> str:
    """Where an endpoint of its kind is asked."""
    if endpoint.replies:
        return "ask it at /v1/chat/completions, or /v1/completions"
    if endpoint.writes:
        return "ask it at /v1/completions"
    embeds = "/v1/embeddings, or " if endpoint.embeds else ""
    return f"ask it at {embeds}/ask/{endpoint.name}"


def _request(said: Mapping[str, Any], source: Mapping[str, str]) -> WritingRequest:
    streams = flag(said, "stream")
    options = said.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise Refusal(400, f"stream_options is {shown(options)}; give an object", "stream_options")
    if options and not streams:
        raise Refusal(400, "stream_options goes with `stream: true` alone", "stream_options")
    options = options or {}
    refuse_unsupported(options, ("include_usage", "include_obfuscation"))
    if flag(options, "include_obfuscation"):
        raise Refusal(400, "include_obfuscation can't be honoured; leave it away", "stream_options")
    return WritingRequest({**source, **_how(said)}, streams, flag(options, "include_usage"))


def _how(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the text, by the names that Triton's model knows."""
    how: dict[str, Any] = {
        "max_tokens": _most_tokens(said),
        "temperature": number(said, "temperature", 0, 2),
        "top_p": number(said, "top_p", 0, 1),
        "top_k": whole(said, "top_k", 0, GREATEST_INT32),
        "repetition_penalty": number(said, "repetition_penalty", 0.01, 100),
        "seed": whole(said, "seed", 0, GREATEST_SEED),
    }
    if said.get("stop"):
        how["stop_words"] = texts_of(said["stop"], "stop", MOST_STOPS)
    return {name: value for name, value in how.items() if value is not None}


def _most_tokens(said: Mapping[str, Any]) -> int | None:
    names = ("max_tokens", "max_completion_tokens")
    old, new = (whole(said, name, 1, GREATEST_INT32) for name in names)
    if old is not None and new is not None and old != new:
        raise Refusal(400, f"max_tokens is {old} and max_completion_tokens {new}; give one", names[1])
    return old if new is None else new


def _messages(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_MESSAGES:
        found = "missing" if value is None else shown(value)
        raise Refusal(400, f"messages is {found}; give a list of 1 to {MOST_MESSAGES}", "messages")
    return [_message(one, f"messages[{place}]") for place, one in enumerate(value)]


def _message(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        raise Refusal(400, f"{name} is {shown(value)}; give its role and its content", name)
    if value["role"] not in ROLES:
        role = shown(value["role"])
        raise Refusal(400, f"the role of {name} is {role}; give one of {', '.join(ROLES)}", name)
    for field, inner in value.items():
        if field not in ("role", "content") and (field not in _EMPTY_FIELDS or inner):
            raise Refusal(400, f"{name} has {shown(field)}, which can't be honoured; leave it away", name)
    return {"role": ROLES[value["role"]], "content": _content(value.get("content"), name)}


def _content(value: object, name: str) -> str:
    """The text of a message, which may come in parts."""
    if not isinstance(value, list):
        return text_of(value, f"{name}.content")
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or kind != "text":
            raise Refusal(
                400,
                f"{name} has a part of the type {shown(kind)}; the models here read text alone: send "
                "parts of the type text",
                name,
                "unsupported_content",
            )
        texts.append(text_of(part.get("text"), f"{name}.content"))
    return "".join(texts)
