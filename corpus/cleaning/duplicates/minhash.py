"""MinHash: a short signature of a text, equal in as large a share of places as two texts have in common.

A text is the set of its shingles, the runs of five units (`text_units.py`); how alike two texts are is the
Jaccard similarity of their sets. Each place of a signature is the least value that a random function
takes on the set, and two sets agree there with a probability equal to their similarity (Broder 1997).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.cleaning.config import DuplicatesConfig
from corpus.cleaning.text.text_units import GOLDEN, mix64

SHINGLE_UNITS = 5
EMPTY = np.uint32(0xFFFFFFFF)
"""Stands in every place of the signature of a text without units."""


def signatures(
    hashes: npt.NDArray[np.uint64], offsets: npt.NDArray[np.int64], config: DuplicatesConfig
) -> npt.NDArray[np.uint32]:
    """MinHash signatures uint32[n, permutations] of n texts, given by the hashes of their units.

    Place k is the least of `a_k * low + b_k * high` modulo 2^32 over the text's shingles, whose 64-bit
    hashes are cut into low and high halves (multilinear hashing, Lemire and Kaser 2014, arXiv:1202.4961);
    a_k and b_k are odd and follow from the seed by SplitMix64.

    Args:
        hashes, offsets: what `text_units.unit_hashes` returned.
        config: number of permutations and their seed.
    """
    lowest = np.full((len(offsets) - 1, config.permutations), EMPTY, np.uint32)
    _minima(hashes, offsets, *_permutations(config.permutations, config.seed), lowest)
    return lowest


def shingle_sets(
    hashes: npt.NDArray[np.uint64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The distinct shingles of each text, ascending; those of text i are `shingles[bounds[i]:bounds[i + 1]]`.

    Args:
        hashes, offsets: what `text_units.unit_hashes` returned.

    Returns:
        shingles uint64[total], bounds int64[n + 1].
    """
    shingles, bounds = np.empty(len(hashes), np.uint64), np.zeros(len(offsets), np.int64)
    total = _sets(hashes, offsets, shingles, bounds)
    return shingles[:total], bounds


def _permutations(count: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    steps = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)
    drawn = np.array([mix64(step) for step in steps * GOLDEN], np.uint64)
    low, high = drawn.astype(np.uint32), (drawn >> np.uint64(32)).astype(np.uint32)
    return low | np.uint32(1), high | np.uint32(1)


@njit(cache=True, nogil=True)
def _shingle(hashes, first, last):  # type: ignore[no-untyped-def]  # compiled
    """Hash of `hashes[first:last]`: a polynomial, so that order counts, mixed so that all bits are good."""
    state = np.uint64(0)
    for position in range(first, last):
        state = state * GOLDEN + hashes[position]
    return mix64(state)


@njit(cache=True, nogil=True)
def _shingle_count(units):  # type: ignore[no-untyped-def]  # compiled
    """A text with fewer than five units is one shingle, one without units has none."""
    return min(units, max(units - SHINGLE_UNITS + 1, 1))


@njit(cache=True, nogil=True)
def _minima(hashes, offsets, low_factors, high_factors, found):  # type: ignore[no-untyped-def]  # compiled
    for text in range(len(offsets) - 1):
        first, end = offsets[text], offsets[text + 1]
        minima = found[text]
        for start in range(first, first + _shingle_count(end - first)):
            shingle = _shingle(hashes, start, min(start + SHINGLE_UNITS, end))
            low, high = np.uint32(shingle), np.uint32(shingle >> np.uint64(32))
            for place in range(len(minima)):
                # uint32 times uint32 is uint64 to numba: only the cast keeps this modulo 2^32 (and in SIMD).
                value = np.uint32(low_factors[place] * low + high_factors[place] * high)
                minima[place] = min(minima[place], value)


@njit(cache=True, nogil=True)
def _sets(hashes, offsets, found, bounds):  # type: ignore[no-untyped-def]  # compiled
    total = 0
    for text in range(len(offsets) - 1):
        first, end = offsets[text], offsets[text + 1]
        count = _shingle_count(end - first)
        shingles = np.empty(count, np.uint64)
        for index in range(count):
            shingles[index] = _shingle(hashes, first + index, min(first + index + SHINGLE_UNITS, end))
        shingles.sort()
        for index in range(count):
            if index == 0 or shingles[index] != shingles[index - 1]:
                found[total] = shingles[index]
                total += 1
        bounds[text + 1] = total
    return total
