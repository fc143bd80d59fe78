"""Passages: a text cut into pieces that a model reads whole, as few as it takes and of about one length.

A piece ends where a paragraph does; where none does near enough, at the end of a line, else of a sentence,
else of a word, and only where there is none of these in the middle of a word. Pieces don't overlap.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# Ends of a piece, the best kind first; what matches goes to neither side.
_ENDS = tuple(map(re.compile, (r"\n\s*\n", r"\n", r"(?<=[.!?。！？।॥؟۔])\s+|(?<=[。！？])", r"\s+")))


class Passage(NamedTuple):
    """A piece of a text, by the characters at which it starts and ends, the end behind the last one."""

    start: int
    end: int


def passages_of(texts: Sequence[str], tokenizer: Any, room: int) -> list[list[Passage]]:
    """The passages of each text, none where it has no token.

    Args:
        tokenizer: one of `tokenizers`, that neither cuts nor pads.
        room: tokens that a passage may have, without special ones, from 1.
    """
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [
        list(_cut(text, 0, encoding.offsets, tokenizer, room))
        for text, encoding in zip(texts, encodings, strict=True)
    ]


def _cut(
    text: str, base: int, offsets: Sequence[tuple[int, int]], tokenizer: Any, room: int
) -> Iterator[Passage]:
    """Passages of a text that itself begins at `base` of another; `offsets` are those of its tokens."""
    if len(offsets) <= room:
        if offsets:
            yield Passage(base, base + len(text))
        return
    starts = [start for start, _ in offsets]
    begin, token = 0, 0
    while begin < len(text):
        end = _end(text, begin, starts, token, room)
        piece = text[begin:end]
        left = len(piece) - len(piece.lstrip())
        piece = piece.strip()
        # By itself a piece may have a token more, where one of the text's was cut; then it is cut again.
        own = tokenizer.encode(piece, add_special_tokens=False).offsets if piece else []
        if len(piece) > 1:
            yield from _cut(piece, base + begin + left, own, tokenizer, room)
        elif own:
            yield Passage(base + begin + left, base + begin + left + len(piece))
        begin, token = end, bisect_left(starts, end)


def _end(text: str, begin: int, starts: Sequence[int], token: int, room: int) -> int:
    """Where the piece that begins at this character and token ends.

    What is left is to be shared evenly: a last piece of a few words would be found by questions that it says
    nothing about.
    """
    left = len(starts) - token
    if left <= room:
        return len(text)
    share = -(-left // -(-left // room))
    least, wanted, most = (starts[token + tokens] for tokens in ((share + 1) // 2, min(share, room), room))
    for kind in _ENDS:
        found = [match.end() for match in kind.finditer(text, least, most) if match.end() > begin]
        if found:
            return min(found, key=lambda end: abs(end - wanted))
    return max(wanted, begin + 1)
