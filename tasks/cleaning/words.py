"""What a shingle is made of: words, or single characters where a script puts no spaces between words."""

import re
from itertools import chain

import numpy as np
import numpy.typing as npt

SHINGLE_UNITS = 5
# Han with extensions and compatibility forms, kana. Korean puts spaces between words.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"\w+")


def is_unspaced(text: str) -> bool:
    """Whether most letters of `text` are Chinese or Japanese."""
    if text.isascii():
        return False
    return 2 * len(UNSPACED.findall(text)) > sum(map(str.isalpha, text))


def units(text: str) -> list[str]:
    """Lower-case words of `text`, or its letters and digits one by one where words have no spaces."""
    words = _WORD.findall(text.lower())
    return list("".join(words)) if is_unspaced(text) else words


def shingles(units_of_texts: list[list[str]]) -> list[npt.NDArray[np.uint64]]:
    """64-bit hashes of all windows of five units, one array per text, repeated windows repeated.

    A text with fewer units is one window; a text without any has none.
    """
    from rensa import RMinHash

    everything = list(chain.from_iterable(units_of_texts))
    [hashes] = RMinHash.hash_token_sets([everything])
    flat = np.array(hashes, np.uint64)
    full = _windows(flat, SHINGLE_UNITS)
    found, start = [], 0
    for length in map(len, units_of_texts):
        if length >= SHINGLE_UNITS:
            found.append(full[start : start + length - SHINGLE_UNITS + 1])
        else:
            found.append(_windows(flat[start : start + length], length))
        start += length
    return found


def _windows(hashes: npt.NDArray[np.uint64], width: int) -> npt.NDArray[np.uint64]:
    """Hashes of all runs of `width` hashes; none when there are fewer, or width is 0."""
    count = max(len(hashes) - width + 1, 0) if width else 0
    # A polynomial in an odd 64-bit constant, modulo 2^64: order counts, collisions are negligible.
    mixed = np.zeros(count, np.uint64)
    for offset in range(width):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashes[offset : offset + count]
    return mixed ^ (mixed >> np.uint64(29))
