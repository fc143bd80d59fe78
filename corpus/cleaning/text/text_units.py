"""What texts are compared by: words, or single characters where a script puts no spaces between words.

Shingles, evaluation n-grams and word lists all stand on these units, so that they agree about what a
word is. A word is a run of letters, marks, digits and underscores in lower case.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpus.cleaning.text.characters import UNSPACED
from corpus.cleaning.text.utf8 import code_point, utf8_buffers

_TABLE_SIZE = 0x40000  # above are private planes, tags and selectors: separators
_SEPARATOR = 0
_ALONE = np.int32(1 << 24)  # flag above all code points

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: what polynomials of hashes are in."""

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # SplitMix64 (Steele, Lea, Flood 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SEED = np.uint64(0x243F6A8885A308D3)
_ONE = np.uint64(1)


def unit_hashes(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """64-bit hashes of all units of all texts; those of text i are `hashes[offsets[i]:offsets[i + 1]]`.

    The lowest bit of a hash is 1 for a character of a script without spaces and 0 for a word. A hash
    depends on its unit alone, on every machine.

    Args:
        texts: n texts without nulls.

    Returns:
        hashes uint64[total], offsets int64[n + 1].
    """
    content, bounds = utf8_buffers(texts)
    # A word takes a byte and a separator, a character without spaces at least three bytes.
    hashes = np.empty((int(bounds[-1] - bounds[0]) + len(texts)) // 2 + 1, np.uint64)
    offsets = np.zeros(len(texts) + 1, np.int64)
    total = _hash_units(content, bounds, _classes(), hashes, offsets)
    return hashes[:total], offsets


def units(text: str) -> list[str]:
    """The units of one text as strings, in the order of their hashes: for messages and tests."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    folded = np.where(codes < _TABLE_SIZE, _classes()[codes % _TABLE_SIZE], _SEPARATOR)
    alone = (folded & _ALONE) != 0
    # A separator becomes a space, and a unit of one character gets one on either side.
    spaced = np.full((len(codes), 3), ord(" "), np.uint32)
    spaced[:, 1] = np.where(alone, codes, np.where(folded == _SEPARATOR, ord(" "), folded))
    present = np.stack([alone, np.ones(len(codes), np.bool_), alone], axis=1)
    spelled: str = spaced[present].tobytes().decode("utf-32-le")
    return spelled.split()


@cache
def _classes() -> npt.NDArray[np.int32]:
    """Code point -> 0 for a separator, else its lower case, with a flag when it is a unit of its own."""
    import unicodedata

    classes = np.zeros(_TABLE_SIZE, np.int32)
    for code in range(0x20000):
        character = chr(code)
        if character == "_" or unicodedata.category(character)[0] in "LMN":
            lower = character.lower()
            classes[code] = ord(lower) if len(lower) == 1 else code
    classes[0x20000:] = np.arange(0x20000, _TABLE_SIZE)
    for first, last in UNSPACED:
        span = classes[first : last + 1]
        span[span != _SEPARATOR] |= _ALONE
    return classes


@njit(cache=True, nogil=True)
def mix64(state):  # type: ignore[no-untyped-def]  # compiled
    """The finisher of SplitMix64, a permutation of uint64 in which every bit of `state` counts."""
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


@njit(cache=True, nogil=True)
def _hash_units(content, bounds, classes, hashes, offsets):  # type: ignore[no-untyped-def]  # compiled
    total = 0
    for text in range(len(bounds) - 1):
        position, end = bounds[text], bounds[text + 1]
        state = _SEED
        in_word = False
        while position < end:
            code, width = code_point(content, position)
            position += width
            folded = classes[code] if code < len(classes) else np.int32(0)
            if folded != 0 and folded & _ALONE == 0:
                state = (state ^ np.uint64(folded)) * GOLDEN
                in_word = True
                continue
            if in_word:
                hashes[total] = mix64(state) & ~_ONE
                total += 1
                state = _SEED
                in_word = False
            if folded != 0:
                hashes[total] = mix64((_SEED ^ np.uint64(folded)) * GOLDEN) | _ONE
                total += 1
        if in_word:
            hashes[total] = mix64(state) & ~_ONE
            total += 1
        offsets[text + 1] = total
    return total
