"""What repeats within one text: which of its words, n-grams, lines or paragraphs occurred before.

Things are compared by 64-bit keys. An (n+1)-gram can only repeat where the n-grams at its place and at the
next one do, so each length looks at what the one before left, which in most text is soon nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_FOLD = np.uint64(32)


@njit(cache=True, nogil=True)
def table_size(count: int) -> int:
    """Slots of a hash table for `count` keys: a power of two, at most half full."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def find_repeated(
    keys: Keys, count: int, first: Integers, repeated: Flags, slots: Integers, turn: int
) -> bool:
    """Set `first[i]` to the first place of the key at i, and `repeated[i]` where it occurs elsewhere too.

    Args:
        keys: uint64 [>= count].
        slots: int64 [>= table_size(count)], zero at first; may be used again with another turn.
        turn: 1 or more, never the same twice for the same slots.

    Returns:
        Whether any key is repeated.
    """
    mask = table_size(count) - 1
    found = False
    for i in range(count):
        repeated[i] = False
        first[i] = _first_place(keys, i, slots, mask, turn)
        if first[i] != i:
            repeated[i] = repeated[first[i]] = found = True
    return found


@njit(cache=True, nogil=True)
def lengthen(keys: Keys, count: int, first: Integers, repeated: Flags, slots: Integers, turn: int) -> bool:
    """From n-grams to the `count` (n+1)-grams: `first` and `repeated` are replaced, `keys` overwritten."""
    mask = table_size(count) - 1
    found = False
    for i in range(count):
        possible = repeated[i] and repeated[i + 1]
        keys[i] = np.uint64(first[i]) << _FOLD | np.uint64(first[i + 1])
        first[i], repeated[i] = i, False
        if possible:
            first[i] = _first_place(keys, i, slots, mask, turn)
            if first[i] != i:
                repeated[i] = repeated[first[i]] = found = True
    return found


@njit(cache=True, nogil=True)
def _first_place(keys, i, slots, mask, turn):  # type: ignore[no-untyped-def]  # compiled
    # A slot holds the turn that wrote it and a place, so that no turn has to clear the table.
    key = keys[i]
    slot = np.int64(((key ^ (key >> _FOLD)) * _MULTIPLIER) >> _FOLD) & mask
    while slots[slot] >> 32 == turn:
        place = slots[slot] & 0xFFFFFFFF
        if keys[place] == key:
            return place
        slot = (slot + 1) & mask
    slots[slot] = np.int64(turn) << 32 | np.int64(i)
    return i


@njit(cache=True, nogil=True)
def repeated_items(lengths: Integers, count: int, first: Integers) -> tuple[int, int]:
    """How many items occurred before, and the sum of their lengths."""
    items, length = 0, 0
    for i in range(count):
        if first[i] != i:
            items += 1
            length += lengths[i]
    return items, length


@njit(cache=True, nogil=True)
def top_ngram(
    starts: Integers, count: int, size: int, first: Integers, repeated: Flags, counts: Integers
) -> int:
    """Characters that the most frequent of `count` n-grams takes, words joined by single spaces.

    Args:
        starts: int64 [words + 1], characters of all words before each word.
        counts: int64 [>= count], overwritten.
    """
    best, most = 0, 1
    for i in range(count):
        counts[i] = 0
        if repeated[i]:
            place = first[i]
            counts[place] += 1
            if counts[place] > most or (counts[place] == most and place < best):
                best, most = place, counts[place]
    return int((starts[best + size] - starts[best] + size - 1) * most)


@njit(cache=True, nogil=True)
def repeated_ngrams(
    starts: Integers, count: int, size: int, first: Integers, repeated: Flags, counts: Integers
) -> int:
    """Characters in n-grams that occurred before, without spaces and without counting any word twice."""
    for i in range(count):
        counts[i] = 0
    i, characters = 0, 0
    while i < count:
        if repeated[i] and counts[first[i]]:
            characters += starts[i + size] - starts[i]
            i += size
        else:
            counts[first[i]] = 1
            i += 1
    return characters
