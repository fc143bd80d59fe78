"""The relation between two marked entities of a text: served, and how the text is written for the model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from . import classification
from .graph import TokenRow
from .questions import lacks
from .rows import Frame

MARKERS = ("[E1]", "[/E1]", "[E2]", "[/E2]")
TAGS = ("<e1>", "</e1>", "<e2>", "</e2>")  # in the text itself, as SemEval-2010 task 8 has them
WAYS = "mark both entities, <e1>…</e1> and <e2>…</e2>, or give head and tail"

Span = tuple[int, int]


def located(example: Mapping[str, Any]) -> tuple[str, Span, Span]:
    """The text, where its head is and where its tail: from the first character to that behind the last.

    Without `head` and `tail`, tags in the text say where, and are taken out.

    Raises ValueError for entities that are not there, are empty or overlap, or a text that spells a marker.
    """
    given = {name: example[name] for name in ("head", "tail") if example.get(name) is not None}
    if not given:
        text, head, tail = _untagged(example["text"])
    elif len(given) == 1:
        raise ValueError(f"it has a {next(iter(given))} only; {WAYS}")
    else:
        text = example["text"]
        head, tail = (_within(text, name, span) for name, span in given.items())
    if spelt := [marker for marker in MARKERS if marker in text]:
        raise ValueError(f"its text spells {spelt[0]}, which marks entities for the model; {WAYS}")
    head, tail = _trimmed(text, head), _trimmed(text, tail)
    if head[0] < tail[1] and tail[0] < head[1]:
        raise ValueError(f"its entities {text[slice(*head)]!r} and {text[slice(*tail)]!r} overlap")
    return text, head, tail


def _untagged(tagged: str) -> tuple[str, Span, Span]:
    text, places = "", dict[str, int]()
    for piece in re.split(f"({'|'.join(TAGS)})", tagged):
        if piece not in TAGS:
            text += piece
        elif piece in places:
            raise ValueError(f"its text has {piece} more than once")
        else:
            places[piece] = len(text)
    if missing := [tag for tag in TAGS if tag not in places]:
        raise ValueError(f"its text has no {missing[0]}, and there is no head and tail; {WAYS}")
    first, first_end, second, second_end = (places[tag] for tag in TAGS)
    return text, (first, first_end), (second, second_end)


def _within(text: str, name: str, span: Any) -> Span:
    start, end = span["start"], span["end"]
    if not 0 <= start < end <= len(text):
        raise ValueError(
            f"its {name} is from {start} to {end}, and the text has {len(text)} characters; "
            "`end` is the character behind the last one"
        )
    if (stated := span.get("text", text[start:end])) != text[start:end]:
        raise ValueError(
            f"its {name} is said to be {stated!r}, and from {start} to {end} the text has "
            f"{text[start:end]!r}; `end` is the character behind the last one"
        )
    return start, end


def _trimmed(text: str, span: Span) -> Span:
    """Without the blanks at its borders, which change no token."""
    entity = text[slice(*span)]
    if not entity.strip():
        raise ValueError(f"one of its entities is empty ({entity!r}); {WAYS}")
    start = span[0] + len(entity) - len(entity.lstrip())
    return start, start + len(entity.strip())


def marked(example: Mapping[str, Any]) -> str:
    """The text with a marker on each side of both entities, as the model reads it.

    A blank before an entity, which to many tokenizers is part of its word, stays right before it; one also
    begins the text. Raises ValueError as `located` does.
    """
    text, head, tail = located(example)
    text, places = f" {text}", []
    for (start, end), (opening, closing) in ((head, MARKERS[:2]), (tail, MARKERS[2:])):
        places += [(len(text[: start + 1].rstrip()), 1, opening), (end + 1, 0, closing)]
    written, done = "", 0
    for place, _, marker in sorted(places):  # where one ends and the other begins, the end comes first
        written, done = f"{written}{text[done:place]} {marker}", place
    return (written + text[done:]).removeprefix(" ")


def tagged(text: str, head: Span, tail: Span) -> str:
    """A text with tags around its entities."""
    places = [*zip(head, TAGS[:2], strict=True), *zip(tail, TAGS[2:], strict=True)]
    # From the last to the first; where one entity ends and the other begins, the end comes first.
    for place, tag in sorted(places, key=lambda one: (one[0], "/" not in one[1]), reverse=True):
        text = f"{text[:place]}{tag}{text[place:]}"
    return text


def around_entities(
    texts: Sequence[str], tokenizer: Tokenizer, frame: Frame, max_length: int
) -> tuple[list[list[int]], list[int]]:
    """Ids of marked texts, of a longer one what is around both entities; and the tokens that each needs.

    One that needs more than `max_length`, from one entity to the other, lacks one of them.
    """
    room = max_length - frame.size
    markers: Any = [tokenizer.token_to_id(marker) for marker in MARKERS]
    ids, needed = [], []
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        places = np.flatnonzero(np.isin(encoding.ids, markers))
        first, end = int(places[0]), int(places[-1]) + 1
        needed.append(end - first + frame.size)
        start = max(0, min((first + end - room) // 2, len(encoding) - room))
        ids.append(frame.around(encoding.ids[start : start + room])[0])
    return ids, needed


class Form(classification.Form):
    """Relations of the entities that are marked in texts, or that `head` and `tail` name."""

    def fault(self, question: Mapping[str, Any]) -> str:
        """No text, or entities that are not there, are empty, overlap, or are too far from each other."""
        if fault := lacks(question, self.inputs):
            return fault
        try:
            _, [needed] = self._read([question])
        except ValueError as error:
            return str(error)
        if needed <= self.graph.max_length:
            return ""
        return f"it needs {needed} tokens from one entity to the other, and {self.graph.max_length} are read"

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        """The question that an example is, as an endpoint is asked it: with tags in the text."""
        return [{"text": tagged(*located(example))}]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions."""
        return [TokenRow(ids) for ids in self._read(questions)[0]]

    def _read(self, questions: Sequence[Mapping[str, Any]]) -> tuple[list[list[int]], list[int]]:
        texts = [marked(question) for question in questions]
        return around_entities(texts, self.graph.tokenizer, self.graph.frame, self.graph.max_length)
