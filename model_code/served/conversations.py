"""Conversations as tokens, for models without a chat template of their own: turns end to end.

Each turn is a role and what was said, both closed by the end token:

    user<end>What is a stride?<end>assistant<end>The step from one row to the next.<end>

Nobody can forge a turn: special tokens in a text are text here, so that the end token comes from this module
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tokenizers import Tokenizer

ROLES = ("system", "user", "assistant")
Messages = Sequence[Mapping[str, str]]
NO_ROOM = (
    "its messages leave no room for a question and a reply; shorten the one of the system, or make room for "
    "more tokens (fine_tune.max_length) or a shorter reply"
)


@dataclass(frozen=True)
class Turn:
    """Token ids of who speaks and of what is said, the end token after each."""

    head: list[int]
    said: list[int]
    learnt: bool
    system: bool

    def __len__(self) -> int:
        return len(self.head) + len(self.said)


def messages_of(example: Mapping[str, Any]) -> list[dict[str, str]]:
    """A conversation as it was, or as a prompt begins it and a response, if there is one, ends it."""
    if "messages" in example:
        return list(example["messages"])
    said = {"user": example.get("prompt"), "assistant": example.get("response")}
    return [{"role": role, "content": text} for role, text in said.items() if text is not None]


def fault_of_turns(roles: Sequence[str]) -> str:
    """Why these roles, in order, are no conversation that the user and the assistant have in turns."""
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != (["user", "assistant"] * len(turns))[: len(turns)]:
        return (
            f"its messages are by {', '.join(roles) or 'nobody'}; after at most one of the system, "
            "user and assistant take turns"
        )
    return ""


class Turns:
    """Makes turns of conversations."""

    def __init__(self, tokenizer: Tokenizer, begin: Sequence[int], end: int) -> None:
        """`begin` is what every row begins with, `end` the token behind a role and behind what is said."""
        self._text, self.begin, self._end = Tokenizer.from_str(tokenizer.to_str()), list(begin), end
        self._text.no_truncation()
        self._text.no_padding()
        self._text.encode_special_tokens = True  # what spells a special token is text
        encoded = self._text.encode_batch(list(ROLES), add_special_tokens=False)
        self._heads = {role: [*one.ids, end] for role, one in zip(ROLES, encoded, strict=True)}

    def of(self, conversations: Sequence[Messages]) -> Iterator[list[Turn]]:
        """The turns of each; the last is the assistant's, with nothing said where there is no reply."""
        contents = [message["content"] for messages in conversations for message in messages]
        encodings = iter(self._text.encode_batch(contents, add_special_tokens=False))
        for messages in conversations:
            turns = [
                Turn(
                    self._heads[role],
                    [*next(encodings).ids, self._end],
                    role == "assistant",
                    role == "system",
                )
                for role in (message["role"] for message in messages)
            ]
            if not turns[-1].learnt:
                turns.append(Turn(self._heads["assistant"], [], True, False))
            yield turns

    def fitting(self, turns: Sequence[Turn], length: int, room: int) -> list[Turn]:
        """The turns of which those before the last leave `room` for a reply in rows of `length` tokens.

        Where they are too long the oldest are left out, and then the last question is cut.
        Raises ValueError when a system message alone is too long.
        """
        *before, reply = turns
        return [*_newest(before, length - room - len(self.begin) - len(reply.head)), reply]

    def question(self, messages: Messages, length: int, room: int) -> list[int]:
        """The tokens that ask for the reply to messages that have none. Raises ValueError as `fitting`."""
        (turns,) = self.of([messages])
        fit = self.fitting(turns, length, room)
        return [*self.begin, *(token for turn in fit for token in turn.head + turn.said)]


def _newest(turns: list[Turn], room: int) -> list[Turn]:
    """What fits of the turns before a reply: the system's, and of the others the newest, the last one cut."""
    first, rest = [turn for turn in turns if turn.system], [turn for turn in turns if not turn.system]
    while (over := sum(map(len, first + rest)) - room) > 0 and len(rest) > 1:
        rest = rest[2:]  # a question with its reply
    if over <= 0:
        return first + rest
    question = rest[-1]
    *said, end = question.said
    if over >= len(said):
        raise ValueError(NO_ROOM)
    return [*first, replace(question, said=[*said[:-over], end])]
