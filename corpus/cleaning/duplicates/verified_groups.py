"""Verified duplicates: documents that say the same, found without holding the corpus in memory.

Documents with equal ids come together first, then those with similar signatures (`candidates.py`).
That only proposes groups. In a group documents are visited from the most preferred to the least; one
goes when its similarity to one kept before it is at least the threshold, else it is kept itself. So
every dropped document has a kept one that is as similar as the recipe demands, not a mere chain to one.

A signature estimates a similarity s with a standard deviation of sqrt(s (1 - s) / permutations). What
lies within three of them of the threshold is decided on the texts' shingles themselves.

In memory are about 25 bytes per document, of which there may be 2^31, and what works on two million of
them at a time; the rest are files in `scratch`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from corpus.cleaning.config import DuplicatesConfig
from corpus.cleaning.duplicates.candidates import (
    ROWS_AT_ONCE,
    agreeing,
    band_keys,
    bands_and_rows,
    join,
    members_of_groups,
)
from corpus.cleaning.duplicates.document_features import Features
from corpus.cleaning.duplicates.minhash import EMPTY, shingle_sets
from corpus.cleaning.text.text_units import unit_hashes

RowNumbers = npt.NDArray[np.int64]
ReadTexts = Callable[[int, RowNumbers], pa.StringArray]
"""Called with the number of a shard and ascending rows of it; returns their cleaned texts."""

_CHARACTERS_AT_ONCE = 1 << 23
_DEVIATIONS = 3
# Most kept documents of a group that a further one is compared with: linear, not quadratic.
_COMPARED = 1024


@dataclass(frozen=True, slots=True)
class Clusters:
    """Per document, in the order of the features: the one that stands for it.

    Attributes:
        representative: int32[n], row of the kept document; a kept document's own row.
        similarity: float32[n], Jaccard similarity to it, exact unless far above the threshold.
        exact: bool[n], the document goes because its id is that of its representative.
    """

    representative: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which documents stay, bool[n]."""
        return np.equal(self.representative, _themselves(len(self.representative)))


def find_clusters(
    features: Sequence[Path],
    read_texts: ReadTexts,
    config: DuplicatesConfig,
    scratch: Path,
    advance: Callable[[float], None] = lambda share: None,
) -> Clusters:
    """Decide for every document whether it is kept or which kept one stands for it.

    Of documents that say the same the one from the most trusted source is kept, then the longest, then
    the one with the smallest uri.

    Args:
        features: files of `features.write_features`, one per shard, in the order of the shards.
        read_texts: reads texts again where signatures do not decide.
        config: threshold and permutations; with `near: 1` only equal ids count.
        scratch: an existing directory for files of about 700 bytes per document, removed at the end.
        advance: is told the share of the work that is done, 0 to 1.
    """
    documents = Features(features)
    if not len(documents):
        return Clusters(_themselves(0), np.empty(0, np.float32), np.empty(0, np.bool_))
    with TemporaryDirectory(dir=scratch) as directory:
        equal = _equal(documents, Path(directory))
        advance(0.1)
        if config.near == 1:
            return Clusters(equal, np.ones(len(equal), np.float32), equal != _themselves(len(equal)))
        search = _NearSearch(documents, read_texts, config, Path(directory))
        near, similarity = search.run(equal, lambda share: advance(0.1 + 0.9 * share))
    representative = near[equal]
    exact = (equal != _themselves(len(equal))) & (representative == equal)
    return Clusters(representative, similarity[equal], exact)


def _equal(documents: Features, directory: Path) -> npt.NDArray[np.int32]:
    """For every document the preferred one of those with its id, int32[n]."""
    ids = documents.words("id", directory / "ids")
    parent = _themselves(len(ids))
    join(parent, ids.view(np.uint64)[:, 0], ids, ids.shape[1], np.ones(len(ids), np.bool_))
    for members, bounds in _groups(documents, parent):
        parent[members] = np.repeat(members[bounds[:-1]], np.diff(bounds))
    return parent


class _NearSearch:
    """The search among documents of different ids, with the files that it works on."""

    def __init__(
        self, documents: Features, read_texts: ReadTexts, config: DuplicatesConfig, directory: Path
    ) -> None:
        self.documents, self.read_texts, self.near = documents, read_texts, config.near
        self.bands, self.rows = bands_and_rows(config.near, config.permutations)
        doubt = _DEVIATIONS * math.sqrt(config.near * (1 - config.near) / config.permutations)
        self.least = math.ceil((config.near - doubt) * config.permutations)
        self.certain = math.ceil((config.near + doubt) * config.permutations)
        self.directory = directory
        self.signatures = documents.words("signature", directory / "signatures")

    def run(
        self, equal: npt.NDArray[np.int32], advance: Callable[[float], None]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Representative int32[n] and similarity float32[n] of those that stand for themselves in `equal`."""
        parent = self._similar(equal, lambda share: advance(0.7 * share))
        representative = _themselves(len(parent))
        similarity = np.ones(len(parent), np.float32)
        for members, bounds in _groups(self.documents, parent):
            undecided = _drop_certain(
                members, bounds, self.signatures, self.certain, representative, similarity
            )
            members, bounds = _of_groups(members, bounds, undecided)
            sets, starts, ends = self._shingles(members)
            _drop_compared(
                members,
                bounds,
                self.signatures,
                self.least,
                sets,
                starts,
                ends,
                self.near,
                representative,
                similarity,
            )
        advance(1.0)
        return representative, similarity

    def _similar(
        self, equal: npt.NDArray[np.int32], advance: Callable[[float], None]
    ) -> npt.NDArray[np.int32]:
        """Union-find forest of documents that may be near duplicates, int32[n]."""
        parent = _themselves(len(equal))
        taking_part = (equal == parent) & (self.signatures[:, 0] != EMPTY)
        keys = band_keys(self.signatures, self.bands, self.rows, self.directory / "keys")
        for band in range(self.bands):
            join(parent, keys[band], self.signatures, self.least, taking_part)
            advance((band + 1) / self.bands)
        return parent

    def _shingles(self, members: RowNumbers) -> tuple[npt.NDArray[np.uint64], RowNumbers, RowNumbers]:
        """Distinct shingles of documents, in a file, and where those of each member begin and end in it."""
        order = np.argsort(members)
        sizes = [np.zeros(0, np.int64)]
        path = self.directory / "shingles"
        with path.open("wb") as file:
            for shard, inside in self.documents.by_shard(members[order]):
                for rows in _in_pieces(self.documents.shards[shard], inside):
                    found, bounds = shingle_sets(*unit_hashes(self.read_texts(shard, rows)))
                    found.tofile(file)
                    sizes.append(np.diff(bounds))
        counts = np.concatenate(sizes)
        starts, ends = np.empty_like(members), np.empty_like(members)
        ends[order] = np.cumsum(counts)
        starts[order] = np.cumsum(counts) - counts
        sets = np.memmap(path, np.uint64, "r") if counts.sum() else np.empty(0, np.uint64)
        return np.asarray(sets), starts, ends


def _in_pieces(shard: pa.RecordBatch, inside: RowNumbers) -> Iterator[RowNumbers]:
    """Rows in the texts' shard of the documents at `inside`, some millions of characters at a time."""
    rows, lengths = shard["row"].to_numpy()[inside], shard["length"].to_numpy()[inside]
    piece = np.cumsum(lengths) // _CHARACTERS_AT_ONCE
    yield from np.split(rows, np.flatnonzero(np.diff(piece)) + 1)


def _groups(documents: Features, parent: npt.NDArray[np.int32]) -> Iterator[tuple[RowNumbers, RowNumbers]]:
    """Groups of two or more, some millions of documents at a time: members int64[m] and the groups' bounds.

    The members of a group are in order of preference.
    """
    members, bounds = members_of_groups(parent)
    for first, end in _spans(bounds):
        chunk = members[bounds[first] : bounds[end]]
        table = documents.take(chunk, ["trust", "length", "uri"])
        group = np.repeat(np.arange(end - first), np.diff(bounds[first : end + 1]))
        table = table.append_column("group", pa.array(group)).append_column("row", pa.array(chunk))
        ascending = ["group", "trust", "length", "uri", "row"]
        order = pc.sort_indices(
            table, [(name, "descending" if name == "length" else "ascending") for name in ascending]
        )
        yield chunk[order.to_numpy()], bounds[first : end + 1] - bounds[first]


def _spans(bounds: RowNumbers) -> Iterator[tuple[int, int]]:
    """Spans of whole groups with about `ROWS_AT_ONCE` documents, at least one group each."""
    first = 0
    while first < len(bounds) - 1:
        end = int(np.searchsorted(bounds, bounds[first] + ROWS_AT_ONCE, "right")) - 1
        end = max(end, first + 1)
        yield first, end
        first = end


def _of_groups(
    members: RowNumbers, bounds: RowNumbers, chosen: npt.NDArray[np.bool_]
) -> tuple[RowNumbers, RowNumbers]:
    sizes = np.diff(bounds)
    return members[np.repeat(chosen, sizes)], np.r_[0, np.cumsum(sizes[chosen])]


def _themselves(count: int) -> npt.NDArray[np.int32]:
    return np.arange(count, dtype=np.int32)


@njit(cache=True, nogil=True)
def _drop_certain(members, bounds, signatures, certain, representative, similarity):  # type: ignore[no-untyped-def]  # compiled
    """Drop groups of which all members are certainly like the first; returns which other groups there are."""
    undecided = np.zeros(len(bounds) - 1, np.bool_)
    for group in range(len(bounds) - 1):
        first = members[bounds[group]]
        for member in members[bounds[group] + 1 : bounds[group + 1]]:
            agree = agreeing(signatures, first, member)
            undecided[group] |= agree < certain
            similarity[member] = agree / signatures.shape[1]
            representative[member] = first
    return undecided


@njit(cache=True, nogil=True)
def _drop_compared(  # type: ignore[no-untyped-def]  # compiled
    members, bounds, signatures, least, sets, starts, ends, near, representative, similarity
):
    """Drop every member that is like a kept one before it in its group, by their shingles."""
    kept = np.empty(_COMPARED, np.int64)
    for group in range(len(bounds) - 1):
        count = 0
        for position in range(bounds[group], bounds[group + 1]):
            row = members[position]
            representative[row], similarity[row] = row, 1.0
            for other in kept[: min(count, _COMPARED)]:
                if agreeing(signatures, row, members[other]) < least:
                    continue
                alike = _jaccard(sets[starts[position] : ends[position]], sets[starts[other] : ends[other]])
                if alike >= near:
                    representative[row], similarity[row] = members[other], alike
                    break
            if representative[row] == row:
                kept[count % _COMPARED] = position
                count += 1


@njit(cache=True, nogil=True)
def _jaccard(first, second):  # type: ignore[no-untyped-def]  # compiled
    """Jaccard similarity of two ascending arrays without repetitions."""
    left, right, common = 0, 0, 0
    while left < len(first) and right < len(second):
        one, other = first[left], second[right]
        common += one == other
        left += one <= other
        right += other <= one
    return common / (len(first) + len(second) - common)
