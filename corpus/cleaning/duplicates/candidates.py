"""Candidates: documents among which duplicates are looked for, by locality-sensitive hashing, band by band.

A band is some places of a signature; documents that agree in all places of a band share a bucket
(Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, ch. 3). Those of a bucket that agree in enough
places of the whole signature are joined, and so are their groups (union-find). Equal ids are found in
the same way: an id is a signature of four places, all of which have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.cleaning.text.text_units import GOLDEN, mix64

ROWS_AT_ONCE = 1 << 21
"""Buckets are sorted by parts of about so many documents."""

_BAND_RECALL = 0.995
# A document of a larger bucket is compared with so many others of it: linear, not quadratic.
_COMPARED = 64


def bands_and_rows(near: float, permutations: int) -> tuple[int, int]:
    """How many bands of how many places: the longest that propose 99.5 % of pairs of similarity `near`."""
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - near**rows) ** bands >= _BAND_RECALL:
            return bands, rows
    return permutations, 1


def join(
    parent: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    places: npt.NDArray[np.uint32],
    least: int,
    taking_part: npt.NDArray[np.bool_],
) -> None:
    """Join the groups of documents that share a key and agree in at least `least` places.

    Args:
        parent: int32[n], the union-find forest, changed in place; a root is its group's smallest row.
        keys: uint64[n], well mixed.
        places: uint32[n, permutations].
        taking_part: bool[n].
    """
    for rows in _parts(keys, taking_part):
        # Row numbers ride in the low bits of the keys: one fast sort of integers, and ties are in order.
        # Keys that differ in those bits alone share a bucket; the places tell them apart.
        bits = np.uint64(len(rows).bit_length())
        order = (keys[rows] >> bits << bits) | np.arange(len(rows), dtype=np.uint64)
        order.sort()
        _join_buckets(order, bits, rows, places, least, parent)


def band_keys(
    signatures: npt.NDArray[np.uint32], bands: int, rows: int, path: Path
) -> npt.NDArray[np.uint64]:
    """Keys of all bands, uint64[bands, n], in a file at `path`."""
    if not len(signatures):
        return np.empty((bands, 0), np.uint64)
    keys = np.memmap(path, np.uint64, "w+", shape=(bands, len(signatures)))
    _hash_bands(signatures, rows, np.asarray(keys))
    return np.asarray(keys)


def members_of_groups(parent: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The documents that are not alone, group by group, and the bounds of the groups among them.

    Returns:
        members int64[m], bounds int64[groups + 1]; `parent` is flattened in place.
    """
    sizes = _flatten(parent)
    members = np.flatnonzero(sizes[parent] > 1)
    packed = (parent[members].astype(np.uint64) << np.uint64(32)) | members.astype(np.uint64)
    packed.sort()
    roots = packed >> np.uint64(32)
    starts = np.flatnonzero(np.r_[True, roots[1:] != roots[:-1]][: len(roots)])
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64), np.r_[starts, len(roots)].astype(np.int64)


def _parts(
    keys: npt.NDArray[np.uint64], taking_part: npt.NDArray[np.bool_]
) -> Iterator[npt.NDArray[np.int64]]:
    """Rows whose keys lie in one range after the other, so that few are in memory at once."""
    parts = min(1 + len(keys) // ROWS_AT_ONCE, 1 << 16)
    for part in range(parts):
        chosen = [
            start + np.flatnonzero(_part_of(keys[start : start + ROWS_AT_ONCE], parts) == part)
            for start in range(0, len(keys), ROWS_AT_ONCE)
        ]
        rows = np.concatenate(chosen)
        yield rows[taking_part[rows]]


def _part_of(keys: npt.NDArray[np.uint64], parts: int) -> npt.NDArray[np.uint64]:
    """Which of `parts` equal ranges each key lies in, by its upper 16 bits."""
    return ((keys >> np.uint64(48)) * np.uint64(parts)) >> np.uint64(16)


@njit(cache=True, nogil=True)
def _hash_bands(signatures, rows, keys):  # type: ignore[no-untyped-def]  # compiled
    for document in range(len(signatures)):
        for band in range(len(keys)):
            state = np.uint64(band)
            for place in range(band * rows, (band + 1) * rows):
                state = mix64(state * GOLDEN + np.uint64(signatures[document, place]))
            keys[band, document] = state


@njit(cache=True, nogil=True)
def _join_buckets(order, bits, rows, places, least, parent):  # type: ignore[no-untyped-def]  # compiled
    compared = np.empty(_COMPARED, np.int64)
    seen = 0
    low_bits = (np.uint64(1) << bits) - np.uint64(1)
    for index in range(len(order)):
        if index == 0 or order[index] >> bits != order[index - 1] >> bits:
            seen = 0
        row = rows[np.int64(order[index] & low_bits)]
        joined = False
        for other in compared[: min(seen, _COMPARED)]:
            mine, theirs = root(parent, row), root(parent, other)
            if mine != theirs and agreeing(places, row, other) >= least:
                parent[max(mine, theirs)] = min(mine, theirs)
                joined = True
            joined = joined or mine == theirs
        # When there is no room for all, those that stand for a group of their own go first.
        if seen < _COMPARED or not joined:
            compared[seen % _COMPARED] = row
            seen += 1


@njit(cache=True, nogil=True)
def agreeing(places, first, second):  # type: ignore[no-untyped-def]  # compiled
    """In how many places the signatures of two documents are equal."""
    count = np.int32(0)
    for place in range(places.shape[1]):
        count += np.int32(places[first, place] == places[second, place])
    return count


@njit(cache=True, nogil=True)
def root(parent, row):  # type: ignore[no-untyped-def]  # compiled
    """The root of the tree that `row` is in; paths are halved on the way (Tarjan, van Leeuwen 1984)."""
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return np.int64(row)


@njit(cache=True, nogil=True)
def _flatten(parent):  # type: ignore[no-untyped-def]  # compiled
    sizes = np.zeros(len(parent), np.int32)
    for row in range(len(parent)):
        parent[row] = root(parent, row)
        sizes[parent[row]] += 1
    return sizes
