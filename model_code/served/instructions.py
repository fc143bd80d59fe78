"""A reply to what was said so far, or how a text goes on: served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .chat_template import ChatTemplate
from .conversations import ROLES, Turns, fault_of_turns, messages_of
from .graph import OnnxGraph, TokenRow
from .questions import lacks, shown
from .steps import PromptGraph, PromptSteps
from .writing_form import WritingForm

MOST_MESSAGES = 1000


class Form(WritingForm):
    """Replies. A question is one of three: what a user says, a conversation, or a text to go on from.

    `prompt` is what a user says, `messages` a list of `{"role": …, "content": …}`, or the same as JSON, the
    last by the user. `text_input` is what the model is given as it stands, special tokens included.
    """

    inputs = ("prompt", "messages", "text_input")
    graph_of: type[OnnxGraph] = PromptGraph
    steps = PromptSteps

    @property
    def longest(self) -> int:
        """Tokens that a reply may have: there is room for one of the question."""
        return self.graph.max_length - 1

    @property
    def usual(self) -> int:
        """As many as replies had in training."""
        return int(self.graph.settings["options"]["max_reply"])

    def fault_of_source(self, question: Mapping[str, Any]) -> str:
        """Nothing asked, or more than one thing, or messages that are no conversation."""
        given = [name for name in self.inputs if question.get(name) is not None]
        if len(given) != 1:
            both = " and ".join(given) or "none"
            return f"give one of {', '.join(self.inputs)}; it has {both}"
        if given != ["messages"]:
            return lacks(question, given)
        try:
            return _fault_of_messages(_read(question["messages"]))
        except ValueError as error:
            return f"its messages are not JSON ({error})"

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The question that an example is to an endpoint: all but its last reply, in one string."""
        said = messages_of(example)
        return [{"messages": json.dumps(_before_the_reply(said), ensure_ascii=False)}]

    def row(self, question: Mapping[str, Any]) -> TokenRow:
        """The tokens that ask for a reply; of a conversation that is too long the newest turns."""
        length, room = self.graph.max_length, int(question.get("max_tokens", self.usual))
        if "text_input" in question:
            ids = self.graph.tokenizer.encode(question["text_input"]).ids or self.graph.settings["begin"]
            if not ids or len(ids) > length - room:
                raise ValueError(
                    f"text_input has {len(ids)} tokens, and from 1 to {length - room} leave room for "
                    f"{room} more"
                )
            return TokenRow(ids)
        said = dict(question)
        if "messages" in said:
            said["messages"] = _read(said["messages"])
        return TokenRow(self._asking.question(_before_the_reply(messages_of(said)), length, room))

    @cached_property
    def _asking(self) -> ChatTemplate | Turns:
        tokenizer, settings = self.graph.tokenizer, self.graph.settings
        if settings["template"]:
            return ChatTemplate(tokenizer, settings["template"], settings["named"])
        return Turns(tokenizer, settings["begin"], settings["ends"][0])


def _before_the_reply(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """An example ends with the reply that is to be written."""
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages


def _read(messages: Any) -> Any:
    return json.loads(messages) if isinstance(messages, str) else messages


def _fault_of_messages(messages: Any) -> str:
    if not isinstance(messages, list) or not messages or len(messages) > MOST_MESSAGES:
        return f"its messages are {shown(messages)}; give a list of 1 to {MOST_MESSAGES} of them"
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            return f"a message is {shown(message)}; give its role ({', '.join(ROLES)}) and its content"
        if fault := lacks(message, ["content"]):
            return f"of a message: {fault}"
    roles = [message["role"] for message in messages]
    if roles[-1] != "user":
        return f"its last message is by the {roles[-1]}; end with what the user says"
    return fault_of_turns(roles)
