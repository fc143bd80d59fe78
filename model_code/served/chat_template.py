"""A checkpoint's own chat template: conversations as it writes them.

The template is a program in Jinja and is rendered in Jinja's sandbox, as transformers does. No text can forge
a turn: what spells a special token in a message is read as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer

from .conversations import NO_ROOM, Messages

# Around the number of a special token that a message spells; Unicode keeps both for a program's own use.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_SPELLED = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
# Marks of what the assistant says are for learning; a comment treats the blanks around it in the same way.
_MARKS = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")
# Some templates write today's date; one that stays the same makes the same bytes again.
_FIXED_DATE = (
    "{% macro strftime_now(format) %}{{ {'%Y-%m-%d': '2024-07-26'}.get(format, '26 Jul 2024') }}"
    "{% endmacro %}{{ '' }}"
)


class ChatTemplate:
    """A template with its tokenizer; `named` are its variables, such as `bos_token`."""

    def __init__(self, tokenizer: Tokenizer, template: str, named: Mapping[str, str]) -> None:
        self._template, self._named = template, dict(named)
        if "strftime_now" in self._template:
            self._template = _FIXED_DATE + self._template
        self._compiled: Any = None
        self._text, self._literal = (Tokenizer.from_str(tokenizer.to_str()) for _ in range(2))
        for copy in (self._text, self._literal):
            copy.no_truncation()
            copy.no_padding()
            copy.post_processor = None  # the template writes special tokens; offsets keep their blanks
        self._literal.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        self.special = {token for token, found in added.items() if found.special}
        self._spelled = [*sorted(added[token].content for token in self.special), _OPEN, _CLOSE]
        longest_first = sorted(self._spelled, key=len, reverse=True)
        self._spelling = re.compile("|".join(map(re.escape, longest_first)))

    def question(self, messages: Messages, length: int, room: int) -> list[int]:
        """The tokens that ask for the reply to messages; it has `room` in a row of `length` tokens.

        Where they are too long their oldest turns are left out, and then their last question is cut.
        Raises ValueError for messages that the template refuses, or of which nothing fits.
        """
        return self.fitting(messages, length, room)[1]

    def fitting(self, messages: Messages, length: int, room: int) -> tuple[Messages, list[int]]:
        """The messages that fit, and their `question`."""
        tokens = self._asked(messages)
        while (over := len(tokens) - (length - room)) > 0:
            messages = self._shorter(messages, over)
            tokens = self._asked(messages)
        return messages, tokens

    def _asked(self, messages: Messages) -> list[int]:
        return self.encoded(self.rendered(self.numbered(messages), asks=True))[0]

    def _shorter(self, messages: Messages, over: int) -> list[Mapping[str, str]]:
        first = [message for message in messages if message["role"] == "system"]
        *rest, question = [message for message in messages if message["role"] != "system"]
        if rest:
            return [*first, *rest[2:], question]
        encoding = self._literal.encode(question["content"], add_special_tokens=False)
        if over >= len(encoding.ids):
            raise ValueError(NO_ROOM)
        end = encoding.offsets[len(encoding.ids) - over][0]
        return [*first, {"role": "user", "content": question["content"][:end]}]

    def numbered(self, messages: Messages) -> list[dict[str, str]]:
        """The messages, with a number for each special token that one of them spells."""
        return [
            {"role": one["role"], "content": self._spelling.sub(self._number, one["content"])}
            for one in messages
        ]

    def rendered(self, messages: Sequence[Mapping[str, str]], *, asks: bool) -> str:
        """What the template makes of messages. Raises ValueError, with its reason, when it refuses them."""
        try:
            if self._compiled is None:
                self._compiled = _compiled(self._template)
            written: str = self._compiled.render(
                messages=[*messages], tools=None, documents=None, add_generation_prompt=asks, **self._named
            )
        except Exception as error:  # a template raises what it likes
            raise ValueError(self.refusal(messages, error)) from error
        return written

    @staticmethod
    def refusal(messages: Messages, error: Exception) -> str:
        """What to say when the template refuses messages."""
        roles = ", ".join(message["role"] for message in messages)
        reason = " ".join(str(error).split())
        return f"the checkpoint's chat template refuses its messages ({roles}): {reason}"

    def _number(self, spelled: re.Match[str]) -> str:
        return f"{_OPEN}{self._spelled.index(spelled[0])}{_CLOSE}"

    def encoded(self, written: str) -> tuple[list[int], list[int]]:
        """The tokens of a written text and the character with which each begins."""
        ids: list[int] = []
        starts: list[int] = []
        at = 0
        for number, piece in enumerate(_SPELLED.split(written)):
            encoding: Any
            if number % 2:
                encoding = self._literal.encode(self._spelled[int(piece)], add_special_tokens=False)
                starts += [at] * len(encoding.ids)
                at += len(_OPEN + piece + _CLOSE)
            else:
                encoding = self._text.encode(piece, add_special_tokens=False)
                starts += [at + start for start, _ in encoding.offsets]
                at += len(piece)
            ids += encoding.ids
        return ids, starts


def _compiled(template: str) -> Any:
    """As transformers compiles them (`_compile_jinja_template`)."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def as_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **how)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    return environment.from_string(_MARKS.sub(r"{#\1 said by the assistant \2#}", template))
