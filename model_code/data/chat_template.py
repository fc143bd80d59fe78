"""A checkpoint's own chat template to learn from: which of its tokens are the assistant's replies.

The template's `{% generation %}` markers say what the assistant says; where it has none, that is what follows
the text that asks for a reply, up to the token that ends one. Here transformers renders it; what is served
(`model_code/served/chat_template.py`) has to make the same tokens, which `export` compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from model_code.data.vocabulary import ROLES, TEMPLATE, Vocabulary
from model_code.errors import TrainingError
from model_code.served import chat_template
from model_code.served.conversations import Messages

_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
_WAY_OUT = f"or put a {TEMPLATE} that takes them into the folder of the checkpoint"


class Told(NamedTuple):
    """A conversation in tokens, which of them are to be learnt, and those that ask for its last reply."""

    ids: list[int]
    learnt: list[bool]
    question: list[int]


class LearntTemplate(chat_template.ChatTemplate):
    """The template of a checkpoint with its tokenizer; `end` is the token by which it ends a reply."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        """Raises TrainingError for a template that can't be rendered, or ends no reply."""
        super().__init__(tokenizer, vocabulary.template, named_tokens(tokenizer, vocabulary))
        self._is_marked = bool(_MARKED.search(vocabulary.template))
        try:
            self.end = self._end_of_reply()
        except ValueError as error:
            raise TrainingError(f"a question and a reply: {error}, {_WAY_OUT}") from error

    def told(self, messages: Messages, length: int, room: int, id: str) -> Told:
        """A conversation of at most `length` tokens whose last question leaves `room` for a reply.

        Where it is too long its oldest turns are left out, then its last question is cut, then its reply.
        Raises TrainingError, with the `id` of the example, for what the template refuses or doesn't fit.
        """
        has_reply = messages[-1]["role"] == "assistant"
        try:
            asked, question = self.fitting(messages[:-1] if has_reply else messages, length, room)
            if not has_reply:
                return Told(question, [False] * len(question), question)
            ids, learnt = self._learnt([*asked, messages[-1]], self.end)
        except ValueError as error:
            raise TrainingError(f"example {id}: {error}") from error
        return Told(ids[:length], learnt[:length], question)

    def _learnt(self, messages: Messages, end: int | None) -> tuple[list[int], list[bool]]:
        """The tokens of a conversation, and which the assistant says, its `end` token included."""
        written, spans = self._with_marks(self.numbered(messages), asks=False)
        ids, starts = self.encoded(written)
        learnt = [False] * len(ids)
        if not self._is_marked:
            spans = [(start, len(written)) for start in self._reply_starts(messages, written)]
        for first, behind in spans:
            for place, token in enumerate(ids):
                if first <= starts[place] < behind:
                    learnt[place] = True
                    if token == end and not self._is_marked:
                        break
        if not any(learnt):
            raise ValueError("the chat template writes nothing of what the assistant says")
        return ids, learnt

    def _reply_starts(self, messages: Messages, written: str) -> Iterator[int]:
        """Where each reply begins: behind what would have asked for it."""
        for turn, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self.rendered(self.numbered(messages[:turn]), asks=True)
                if not written.startswith(before):
                    raise ValueError(
                        f"the chat template writes what comes before reply {turn} otherwise "
                        "when it asks for it, so it can't be told what to learn; give conversations with one "
                        "reply, or mark replies in the template with {% generation %}"
                    )
                yield len(before)

    def _end_of_reply(self) -> int:
        ids, learnt = self._learnt(_PROBE, None)
        ends = [
            token for token, is_said in zip(ids, learnt, strict=True) if is_said and token in self.special
        ]
        if not ends:
            raise TrainingError(
                "the checkpoint's chat template ends a reply with no special token, so no reply would come "
                f"to an end; put a {TEMPLATE} that ends it with the end token into the checkpoint's folder"
            )
        return ends[-1]

    def rendered(self, messages: Sequence[Mapping[str, str]], *, asks: bool) -> str:
        """What the template makes of messages. Raises ValueError, with its reason, when it refuses them."""
        return self._with_marks(messages, asks=asks)[0]

    def _with_marks(
        self, messages: Sequence[Mapping[str, str]], *, asks: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        """The same, and the characters from and to which replies are marked."""
        try:
            given: dict[str, Any] = self._named
            rendered: Any = render_jinja_template(
                [[dict(message) for message in messages]],
                chat_template=self._template,
                add_generation_prompt=asks,
                return_assistant_tokens_mask=self._is_marked,
                **given,
            )
        except Exception as error:  # a template raises what it likes
            refused = self.refusal(messages, error)
            raise ValueError(f"{refused}; write the examples as it wants them, {_WAY_OUT}") from error
        (written,), spans = rendered
        return written, spans[0] if spans else []


def named_tokens(tokenizer: Tokenizer, vocabulary: Vocabulary) -> dict[str, str]:
    """The special tokens by the names that templates call them by."""
    named = {role: getattr(vocabulary, role) for role in ROLES}
    return {
        f"{role}_token": str(tokenizer.id_to_token(token))
        for role, token in named.items()
        if token is not None
    }
