"""Pairs of replies as they are published: two conversations that begin alike and end otherwise.

UltraFeedback has whole conversations beside the prompt that both begin with; others have conversations alone,
or the prompt as messages and each reply as a list of one message. All say what was asked and two texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIDES = ("chosen", "rejected")


def parted(pair: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pair with what was asked in `messages`, and in `chosen` and `rejected` the text of the last reply.

    Replies that are texts stay as they are. Raises ValueError, with what is wrong, where the two
    differ in more than their last reply, or what stands beside them is not what they begin with.
    """
    pair = _prompt_as_messages(pair)
    lists = [side for side in SIDES if isinstance(pair.get(side), list)]
    if not lists:
        return pair
    if len(lists) < len(SIDES):
        raise ValueError(
            "of its two replies one is a text and one a list of messages; write both in the same way"
        )
    beginnings = []
    for side in SIDES:
        if not pair[side]:
            raise ValueError(f"its {side} conversation has no message; remove the example")
        *before, last = pair[side]
        if last["role"] != "assistant":
            raise ValueError(
                f"its {side} conversation does not end with a message of the assistant; end it so"
            )
        if not last["content"].strip():
            raise ValueError(f"the last reply of its {side} conversation is empty; remove the example")
        beginnings.append(before)
    if beginnings[0] != beginnings[1]:
        raise ValueError(
            "its chosen and its rejected conversation differ before their last message, so that the two are "
            "no replies to the same; cut both where they part, or remove the example"
        )
    asked = _asked(pair, beginnings[0])
    kept = {name: value for name, value in pair.items() if name not in ("prompt", "messages", *SIDES)}
    return kept | {"messages": asked} | {side: pair[side][-1]["content"] for side in SIDES}


def _prompt_as_messages(pair: Mapping[str, Any]) -> Mapping[str, Any]:
    """A prompt that is a list of messages is what `messages` are."""
    if not isinstance(pair.get("prompt"), list):
        return pair
    if "messages" in pair:
        raise ValueError(
            "its prompt is a list of messages, and it has messages besides; leave one of them out"
        )
    return {"messages" if name == "prompt" else name: value for name, value in pair.items()}


def _asked(pair: Mapping[str, Any], beginning: list[dict[str, str]]) -> list[dict[str, str]]:
    """What both conversations reply to: their beginning, or what stands beside replies without one."""
    prompt, messages = pair.get("prompt"), pair.get("messages")
    if not beginning:
        if messages is None and prompt is None:
            raise ValueError("its conversations are a reply each and it has no prompt; add what was asked")
        if messages is not None and prompt is not None:
            raise ValueError("it has messages and a prompt besides; leave the column of one of the two out")
        return messages or [{"role": "user", "content": str(prompt)}]
    # The same conversation may stand there again, with the chosen reply (UltraFeedback) or without.
    if messages is not None and messages not in (beginning, pair["chosen"]):
        raise ValueError(
            "its messages are not what its two conversations begin with; leave one of the two out"
        )
    turns = [message["content"].strip() for message in beginning if message["role"] == "user"]
    if prompt is not None and prompt.strip() not in (turns[:1] + turns[-1:]):
        raise ValueError(
            "its prompt is not what its two conversations begin with; leave the column of one of the two out"
        )
    return beginning
