"""Overlapping windows over a sequence that is longer than a model can read (Devlin et al. 2019, SQuAD)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """The tokens from `start` to `end`; from `own_start` to `own_end` it sees more on both sides than others.

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
