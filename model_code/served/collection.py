"""A collection of documents that a model of texts searches: the vectors of their passages, and what each is.

    vectors.f32      the vector of each passage, float32 [passages, D], little-endian, of length 1
    passages.jsonl   a line per passage: `id`, `source`, `uri` and `license` of its document, the `start` and
                     `end` of the passage in its text, and the passage's `text`
    lines.npy        where each of these lines begins, and where the last one ends, int64 [passages + 1]
    starts.npy       the number of each document's first passage, and that of passages, int64 [documents + 1]

Every vector is looked at, so what is found is what is nearest. Vectors and lines are mapped, not read:
versions side by side take no memory of their own for them, and the kernel may give up pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "collection"
VECTORS, PASSAGES, LINES, STARTS = "vectors.f32", "passages.jsonl", "lines.npy", "starts.npy"
MOST_HITS = 100  # that one question may ask for
ROWS = 16384  # vectors that are compared at once, so that memory stays bounded
FROM_ONE = 1e-3  # that a vector's length may be away from it, also where weights have eight bits

Hit = dict[str, Any]


class Collection:
    """The documents of one folder."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        """Map the files; every vector is read once, so that the first question finds them in memory.

        Args:
            dimensions: D, of the vectors of the model that asks.

        Raises:
            ValueError: the files don't belong together, or hold what is no vector of length 1.
        """
        self._lines, self._starts = np.load(folder / LINES), np.load(folder / STARTS)
        self._vectors = _mapped(folder / VECTORS, "<f4", dimensions)
        self._text = _mapped(folder / PASSAGES, np.uint8)
        passages = len(self._vectors)
        if (len(self._lines) - 1, self._starts[-1], self._lines[-1]) != (passages, passages, len(self._text)):
            raise ValueError(f"{folder}: its files don't belong together")
        for begin in range(0, passages, ROWS):
            rows = self._vectors[begin : begin + ROWS]
            if not (np.abs(np.einsum("rd,rd->r", rows, rows) - 1) < 2 * FROM_ONE).all():
                raise ValueError(f"{folder / VECTORS}: vectors that are not of length 1")

    @property
    def documents(self) -> int:
        """How many documents are searched."""
        return len(self._starts) - 1

    def nearest(self, vectors: np.ndarray, counts: Sequence[int]) -> list[list[Hit]]:
        """The documents nearest to each vector of [B, D], nearest first: its count of them, or all there are.

        Each is represented by its nearest passage; the score is the cosine. Of equals, the earlier is first.
        """
        found: list[list[tuple[float, int]]] = [[] for _ in counts]
        for first, last in self._blocks():
            begin, end = self._starts[first], self._starts[last]
            cosines = self._vectors[begin:end] @ vectors.T
            of_documents = np.maximum.reduceat(cosines, self._starts[first:last] - begin, axis=0)
            for place, count in enumerate(counts):
                best = _largest(of_documents[:, place], count)
                found[place] += zip(of_documents[best, place].tolist(), (first + best).tolist(), strict=True)
        return [
            [self._hit(number, score, vector) for score, number in sorted(of, key=_order)[:count]]
            for of, count, vector in zip(found, counts, vectors, strict=True)
        ]

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of whole documents, of about `ROWS` passages each."""
        first = 0
        while first < self.documents:
            within = int(np.searchsorted(self._starts, self._starts[first] + ROWS, side="right")) - 1
            last = max(within, first + 1)
            yield first, last
            first = last

    def _hit(self, document: int, score: float, vector: np.ndarray) -> Hit:
        begin, end = self._starts[document : document + 2]
        passage = begin + int(np.argmax(self._vectors[begin:end] @ vector))
        line = self._text[self._lines[passage] : self._lines[passage + 1]].tobytes()
        told: Mapping[str, Any] = json.loads(line)
        return {"id": told["id"], "score": score, **told}


def _mapped(path: Path, kind: Any, width: int | None = None) -> np.ndarray:
    """A file as an array [n], or of rows [n, width]."""
    array = np.memmap(path, kind, mode="r")
    if width and array.size % width:
        raise ValueError(f"{path}: its rows have not {width} numbers each")
    return array.reshape(-1, width) if width else array


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the largest of [n] values; of equals the first."""
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        places = np.flatnonzero(values >= least)
    else:
        places = np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")][:count]


def _order(found: tuple[float, int]) -> tuple[float, int]:
    score, number = found
    return -score, number
