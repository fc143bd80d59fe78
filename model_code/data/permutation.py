"""A random order that is computed place by place instead of being held in memory.

A Feistel network (Luby and Rackoff 1988) is a permutation of 4^k numbers; walking along it until a number
below `size` comes up makes a permutation of `size` numbers of it (Black and Rogaway 2002). Any place of any
epoch costs the same, so a run resumes at once and a reader holds nothing, however large the corpus.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_ROUNDS = 6
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # the finisher of SplitMix64 (Steele et al. 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def permuted(places: npt.NDArray[np.int64], size: int, key: Sequence[int]) -> npt.NDArray[np.int64]:
    """What lies at `places` [n] (each in [0, size)) of the permutation of range(size) that `key` names.

    `key` are non-negative integers, such as (seed, epoch).
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64).astype(np.uint64)
    numbers = _feistel(places.astype(np.uint64), half, keys)
    while (outside := numbers >= size).any():
        numbers[outside] = _feistel(numbers[outside], half, keys)
    return numbers.astype(np.int64)


def _feistel(
    numbers: npt.NDArray[np.uint64], half: np.uint64, keys: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """A permutation of all numbers of 2 x `half` bits."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (mixed(right + key) & mask)
    return left << half | right


def mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each number hashed on its own, so that neighbours have nothing in common."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * _MIX_1
    numbers = (numbers ^ numbers >> np.uint64(27)) * _MIX_2
    return numbers ^ numbers >> np.uint64(31)
