"""A checkpoint's own chat template: conversations as it writes them, and which tokens are its replies.

The template is a program in Jinja, rendered in the sandbox of transformers. Its `{% generation %}` markers
say what the assistant says; where it has none, that is what follows the text that asks for a reply, up to the
token that ends one. No text can forge a turn: what spells a special token in a message is read as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from model_code.data.vocabulary import ROLES, TEMPLATE, Vocabulary
from model_code.errors import TrainingError

Messages = Sequence[Mapping[str, str]]

_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
# Around the number of a special token that a message spells; Unicode keeps both for a program's own use.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_SPELLED = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
# Some templates write today's date; one that stays the same makes the same bytes again.
_FIXED_DATE = (
    "{% macro strftime_now(format) %}{{ {'%Y-%m-%d': '2024-07-26'}.get(format, '26 Jul 2024') }}"
    "{% endmacro %}{{ '' }}"
)
_PROBE = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
_WAY_OUT = f"or put a {TEMPLATE} that takes them into the folder of the checkpoint"


class Told(NamedTuple):
    """A conversation in tokens, which of them are to be learnt, and those that ask for its last reply."""

    ids: list[int]
    learnt: list[bool]
    question: list[int]


class ChatTemplate:
    """The template of a checkpoint with its tokenizer; `end` is the token by which it ends a reply."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        """Raises TrainingError for a template that can't be rendered, or ends no reply."""
        self._template = vocabulary.template
        self._is_marked = bool(_MARKED.search(self._template))
        if "strftime_now" in self._template:
            self._template = _FIXED_DATE + self._template
        self._text, self._literal = (Tokenizer.from_str(tokenizer.to_str()) for _ in range(2))
        for copy in (self._text, self._literal):
            copy.no_truncation()
            copy.no_padding()
            copy.post_processor = None  # the template writes special tokens; offsets keep their blanks
        self._literal.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        self._special = {token for token, found in added.items() if found.special}
        self._spelled = [*sorted(added[token].content for token in self._special), _OPEN, _CLOSE]
        longest_first = sorted(self._spelled, key=len, reverse=True)
        self._spelling = re.compile("|".join(map(re.escape, longest_first)))
        named = {role: getattr(vocabulary, role) for role in ROLES}
        self._named: dict[str, Any] = {
            f"{role}_token": tokenizer.id_to_token(token)
            for role, token in named.items()
            if token is not None
        }
        self.end = self._end_of_reply()

    def told(self, messages: Messages, length: int, room: int, id: str) -> Told:
        """A conversation of at most `length` tokens whose last question leaves `room` for a reply.

        Where it is too long its oldest turns are left out, then its last question is cut, then its reply.
        Raises TrainingError, with the `id` of the example, for what the template refuses or doesn't fit.
        """
        has_reply = messages[-1]["role"] == "assistant"
        asked = [*messages[:-1]] if has_reply else [*messages]
        question = self._question(asked, id)
        while len(question) > length - room:
            asked = self._shorter(asked, len(question) - (length - room), id)
            question = self._question(asked, id)
        if not has_reply:
            return Told(question, [False] * len(question), question)
        ids, learnt = self._learnt([*asked, messages[-1]], id, self.end)
        return Told(ids[:length], learnt[:length], question)

    def _question(self, asked: Messages, id: str) -> list[int]:
        return self._encoded(self._written(asked, id, asks=True)[0])[0]

    def _learnt(self, messages: Messages, id: str, end: int | None) -> tuple[list[int], list[bool]]:
        """The tokens of a conversation, and which the assistant says, its `end` token included."""
        written, spans = self._written(messages, id)
        ids, starts = self._encoded(written)
        learnt = [False] * len(ids)
        if not self._is_marked:
            spans = [(start, len(written)) for start in self._reply_starts(messages, written, id)]
        for first, behind in spans:
            for place, token in enumerate(ids):
                if first <= starts[place] < behind:
                    learnt[place] = True
                    if token == end and not self._is_marked:
                        break
        if not any(learnt):
            raise TrainingError(f"example {id}: the chat template writes nothing of what the assistant says")
        return ids, learnt

    def _reply_starts(self, messages: Messages, written: str, id: str) -> Iterator[int]:
        """Where each reply begins: behind what would have asked for it."""
        for turn, message in enumerate(messages):
            if message["role"] == "assistant":
                before, _ = self._written(messages[:turn], id, asks=True)
                if not written.startswith(before):
                    raise TrainingError(
                        f"example {id}: the chat template writes what comes before reply {turn} otherwise "
                        "when it asks for it, so it can't be told what to learn; give conversations with one "
                        "reply, or mark replies in the template with {% generation %}"
                    )
                yield len(before)

    def _end_of_reply(self) -> int:
        ids, learnt = self._learnt(_PROBE, "of a question and a reply", None)
        ends = [
            token for token, is_said in zip(ids, learnt, strict=True) if is_said and token in self._special
        ]
        if not ends:
            raise TrainingError(
                "the checkpoint's chat template ends a reply with no special token, so no reply would come "
                f"to an end; put a {TEMPLATE} that ends it with the end token into the checkpoint's folder"
            )
        return ends[-1]

    def _shorter(self, asked: Messages, over: int, id: str) -> list[Mapping[str, str]]:
        first = [message for message in asked if message["role"] == "system"]
        *rest, question = [message for message in asked if message["role"] != "system"]
        if rest:
            return [*first, *rest[2:], question]
        encoding = self._literal.encode(question["content"], add_special_tokens=False)
        if over >= len(encoding.ids):
            raise TrainingError(
                f"example {id}: its messages leave no room for a question and a reply; shorten the one of "
                "the system, raise fine_tune.max_length or lower max_reply"
            )
        end = encoding.offsets[len(encoding.ids) - over][0]
        return [*first, {"role": "user", "content": question["content"][:end]}]

    def _written(
        self, messages: Messages, id: str, *, asks: bool = False
    ) -> tuple[str, list[tuple[int, int]]]:
        """What the template makes of messages, and the characters from and to which replies are marked."""
        given = [
            {"role": one["role"], "content": self._spelling.sub(self._number, one["content"])}
            for one in messages
        ]
        try:
            rendered: Any = render_jinja_template(
                [given],
                chat_template=self._template,
                add_generation_prompt=asks,
                return_assistant_tokens_mask=self._is_marked,
                **self._named,
            )
        except Exception as error:  # a template raises what it likes
            roles = ", ".join(message["role"] for message in messages)
            raise TrainingError(
                f"example {id}: the checkpoint's chat template refuses its messages ({roles}): "
                f"{' '.join(str(error).split())}; write the examples as it wants them, {_WAY_OUT}"
            ) from error
        (written,), spans = rendered
        return written, spans[0] if spans else []

    def _number(self, spelled: re.Match[str]) -> str:
        return f"{_OPEN}{self._spelled.index(spelled[0])}{_CLOSE}"

    def _encoded(self, written: str) -> tuple[list[int], list[int]]:
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
