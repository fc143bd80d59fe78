"""How texts become rows of tokens: what stands around them, and windows over those that are too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Frame:
    """Ids before the first text, between both, and after the last; `types` tells the texts apart, 0 and 1.

    `types` are those of what is before, the first text, what is between, the second text, and what is after.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, ...] = (0, 0, 0, 1, 1)

    @property
    def size(self) -> int:
        """Tokens that it takes from the room of the texts."""
        return len(self.before) + len(self.between) + len(self.after)

    def around(self, first: Sequence[int], second: Sequence[int] = ()) -> tuple[list[int], list[int]]:
        """Ids of the framed texts, and the type of each."""
        parts = (self.before, first, self.between, second, self.after)
        ids = [token for part in parts for token in part]
        return ids, [type for part, type in zip(parts, self.types, strict=True) for _ in part]


@dataclass(frozen=True)
class Window:
    """A part of a sequence that is longer than a model can read (Devlin et al. 2019, SQuAD), in tokens.

    It reads from `start` to `end`; from `own_start` to `own_end` it sees more on both sides than others do.
    Every token is owned by exactly one window.
    """

    start: int
    end: int
    own_start: int
    own_end: int


def windows(length: int, size: int, overlap: int) -> list[Window]:
    """As few windows of `size` tokens as overlap by at least `overlap`, spread evenly over `length` tokens.

    A sequence that fits is one window. Raises ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"windows of {size} tokens can't overlap by {overlap}")
    if length <= size:
        return [Window(0, length, 0, length)]
    steps = -(-(length - size) // (size - overlap))
    starts = [(length - size) * number // steps for number in range(steps + 1)]
    borders = [(before + size + after) // 2 for before, after in pairwise(starts)]
    owned = zip([0, *borders], [*borders, length], strict=True)
    return [Window(start, start + size, *own) for start, own in zip(starts, owned, strict=True)]
