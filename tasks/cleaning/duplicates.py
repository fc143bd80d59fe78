"""Documents that say the same: exactly, by id, and nearly, by MinHash.

Locality-sensitive hashing in 16 bands of 8 rows (Leskovec, Rajaraman, Ullman, Mining of
Massive Datasets, ch. 3) proposes pairs, the whole signature confirms them, and each
connected cluster keeps its longest member.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BANDS = 16
NEIGHBOURS = 8


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Per document: the row that stands for it (itself when kept) and whether the two are equal."""

    kept: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]

    def cluster_sizes(self) -> dict[int, int]:
        """How many clusters of two or more documents there are of each size, smallest first."""
        sizes = Counter(Counter(self.kept.tolist()).values())
        return {size: sizes[size] for size in sorted(sizes) if size > 1}


def find_duplicates(
    ids: Sequence[str],
    uris: Sequence[str],
    lengths: Sequence[int],
    signatures: npt.NDArray[np.uint32],
    threshold: float,
) -> Duplicates:
    """Cluster documents with equal ids or an estimated Jaccard similarity of at least `threshold`.

    Args:
        ids: 128-bit hashes of the normalised texts.
        uris: break ties, so that the answer does not depend on the documents' order.
        lengths: of the texts; a cluster keeps its longest, then the first uri.
        signatures: [n, 128] MinHash values.
        threshold: 1 finds exact duplicates only.
    """
    first: dict[str, int] = {}
    order = sorted(range(len(ids)), key=lambda row: (-lengths[row], uris[row], ids[row]))
    representative = np.arange(len(ids))
    for row in order:
        representative[row] = first.setdefault(ids[row], row)
    unique = np.array([row for row in order if representative[row] == row], dtype=np.int64)
    # Rows of `unique` are in order of preference, so the smallest of a cluster is the one to keep.
    cluster = _clusters(signatures[unique], threshold) if threshold < 1 else np.arange(len(unique))
    kept_of = dict(zip(unique.tolist(), unique[cluster].tolist(), strict=True))
    kept = np.array([kept_of[row] for row in representative.tolist()], dtype=np.int64)
    return Duplicates(kept, np.array([ids[row] == ids[other] for row, other in enumerate(kept)], dtype=bool))


def _clusters(signatures: npt.NDArray[np.uint32], threshold: float) -> npt.NDArray[np.int64]:
    """For each row the smallest row that it is connected to."""
    parent = list(range(len(signatures)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for left, right in _similar_pairs(signatures, threshold):
        smaller, larger = sorted((root(left), root(right)))
        parent[larger] = smaller
    return np.array([root(row) for row in range(len(parent))], dtype=np.int64)


def _similar_pairs(signatures: npt.NDArray[np.uint32], threshold: float) -> Iterator[tuple[int, int]]:
    """Confirmed pairs out of each band's buckets: every member with the first and its nearest neighbours.

    All pairs of a large bucket would be quadratic, and a cluster needs only a path between its members.
    """
    width = signatures.shape[1] // BANDS
    weights = np.random.default_rng(0).integers(1, 2**63, width, dtype=np.uint64) | np.uint64(1)
    for band in range(BANDS):
        keys = signatures[:, band * width : (band + 1) * width].astype(np.uint64) @ weights
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
        first = np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))
        found = [np.c_[first[~starts], np.flatnonzero(~starts)]]
        for distance in range(1, NEIGHBOURS + 1):
            same = np.flatnonzero(keys[distance:] == keys[:-distance])
            found.append(np.c_[same, same + distance])
        pairs = np.unique(order[np.concatenate(found)], axis=0)
        for chunk in np.array_split(pairs, len(pairs) // 10_000 + 1):
            similarity = (signatures[chunk[:, 0]] == signatures[chunk[:, 1]]).mean(axis=1)
            yield from map(tuple, chunk[similarity >= threshold].tolist())
