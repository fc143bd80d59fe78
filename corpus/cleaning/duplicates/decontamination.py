"""Finds documents that hold a piece of an evaluation text, so that no model is judged by what it has read.

A piece is a run of so many units (`text_units.py`): 13 words after Brown et al. 2020 (GPT-3, appendix C), or
20 characters where a script has no spaces between words. An evaluation text that is shorter is looked for
as a whole when it has at least 8 of 13, or 12 of 20; still shorter ones turn up in texts that have nothing
to do with them, and are matched by documents that hold nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpus.cleaning.config import DecontaminateConfig
from corpus.cleaning.text.text_units import GOLDEN, unit_hashes, units

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_FILTER_BITS = 16  # per window of the evaluation texts: one lookup in sixteen goes further


class _Windows(NamedTuple):
    """All windows of one width that are looked for, sorted by hash.

    A match of window i is one of the units from `first[i]` to `last[i]` of the evaluation texts.
    """

    width: int
    hashes: Hashes
    first: Integers
    last: Integers
    filter: Hashes  # a bit per value of the highest bits of a hash


class Index:
    """The evaluation texts, ready for being looked for.

    Args:
        texts: m evaluation texts without nulls, cleaned in the way of the documents.
        uris: what to call them.
        config: how long a shared run has to be.
    """

    def __init__(self, texts: pa.StringArray, uris: Sequence[str], config: DecontaminateConfig) -> None:
        self.texts, self.uris, self.config = texts, list(uris), config
        self._hashes, self._offsets = unit_hashes(texts)
        self._windows = _windows_of(self._hashes, self._offsets, config)
        spans = list(pairwise(self._offsets.tolist()))
        # Of equal texts the first; those with a window are found by it.
        self._whole = {
            self._hashes[start:end].tobytes(): number
            for number, (start, end) in reversed(list(enumerate(spans)))
            if 0 < end - start < max(config.ngram, config.ngram_characters)
        }

    @classmethod
    def build(cls, texts: pa.StringArray, uris: Sequence[str], config: DecontaminateConfig) -> Index:
        """The index of evaluation texts; see the class."""
        return cls(texts, uris, config)

    def save(self, path: Path) -> None:
        """Write what the index is made of (`.npz`, no pickles); how it is laid out follows from that."""
        texts, text_bounds = _packed(self.texts.to_pylist())
        uris, uri_bounds = _packed(self.uris)
        lengths = np.array([self.config.ngram, self.config.ngram_characters])
        with path.open("wb") as file:
            np.savez(
                file, texts=texts, text_bounds=text_bounds, uris=uris, uri_bounds=uri_bounds, lengths=lengths
            )

    @classmethod
    def load(cls, path: Path) -> Index:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            texts = pa.array(_unpacked(file["texts"], file["text_bounds"]), pa.string())
            uris = _unpacked(file["uris"], file["uri_bounds"])
            ngram, ngram_characters = file["lengths"].tolist()
        return cls(texts, uris, DecontaminateConfig(ngram=ngram, ngram_characters=ngram_characters))

    def matches(
        self, texts: pa.StringArray, hashed: tuple[Hashes, Integers] | None = None
    ) -> tuple[npt.NDArray[np.int32], list[str | None]]:
        """Find a piece of an evaluation text in each of `texts`.

        Equal hashes are confirmed on the text. Of several pieces in a text the first of the widest kind
        counts, and of equal evaluation texts the first.

        Args:
            texts: n texts without nulls.
            hashed: their `unit_hashes`, when they are there already.

        Returns:
            The number of the evaluation text, -1 for none: int32 [n]; and the shared run, as its units.
        """
        rows = np.full(len(texts), -1, np.int32)
        runs: list[str | None] = [None] * len(texts)
        hashes, offsets = unit_hashes(texts) if hashed is None else hashed
        for windows in self._windows:
            places, entries = _first_matches(hashes, offsets, self._hashes, *windows)
            for row in np.flatnonzero((places >= 0) & (rows < 0)).tolist():
                self._confirm(row, texts[row].as_py(), places[row], entries[row], windows, rows, runs)
        if self._whole:
            longest = max(map(len, self._whole)) // hashes.itemsize
            for row in np.flatnonzero((rows < 0) & (np.diff(offsets) <= longest)).tolist():
                own = hashes[offsets[row] : offsets[row + 1]]
                number = self._whole.get(own.tobytes(), -1)
                if number >= 0 and (wanted := units(texts[row].as_py())) == units(self.texts[number].as_py()):
                    rows[row], runs[row] = number, _joined(wanted, (own & np.uint64(1)).tolist())
        return rows, runs

    def _confirm(
        self,
        row: int,
        text: str,
        place: int,
        entry: int,
        windows: _Windows,
        rows: npt.NDArray[np.int32],
        runs: list[str | None],
    ) -> None:
        first, last = windows.first[entry], windows.last[entry]
        number = int(np.searchsorted(self._offsets, first, side="right")) - 1
        begin = int(first - self._offsets[number])
        wanted = units(self.texts[number].as_py())[begin : begin + last - first]
        if units(text)[place : place + last - first] == wanted:
            alone = (self._hashes[first:last] & np.uint64(1)).tolist()
            rows[row], runs[row] = number, _joined(wanted, alone)


def _windows_of(hashes: Hashes, offsets: Integers, config: DecontaminateConfig) -> list[_Windows]:
    """The windows to look for, widest first."""
    spans: dict[int, list[tuple[Integers, Integers]]] = defaultdict(list)
    for start, end in pairwise(offsets.tolist()):
        characters = int((hashes[start:end] & np.uint64(1)).sum())
        width = config.ngram_characters if 2 * characters > end - start else config.ngram
        least = width * 8 // 13
        if end - start >= width:
            first = np.arange(start, end - width + 1)
            spans[width].append((first, first + width))
        elif end - start >= least:
            spans[least].append((np.array([start]), np.array([end])))
    return [_sorted_windows(hashes, width, spans[width]) for width in sorted(spans, reverse=True)]


def _sorted_windows(hashes: Hashes, width: int, spans: list[tuple[Integers, Integers]]) -> _Windows:
    first, last = (np.concatenate(places) for places in zip(*spans, strict=True))
    windows = _hash_windows(hashes, first, width)
    order = np.argsort(windows, kind="stable")
    filter_bits = 1 << max(6, (_FILTER_BITS * len(order)).bit_length())
    marked = np.zeros(filter_bits >> 6, np.uint64)
    _set_bits(marked, windows)
    return _Windows(width, windows[order], first[order], last[order], marked)


def _joined(run: Sequence[str], alone: Sequence[int]) -> str:
    """Units as a text: words with spaces, single characters without."""
    pieces = [run[0]]
    for unit, (before, here) in zip(run[1:], pairwise(alone), strict=True):
        pieces += [unit] if before and here else [" ", unit]
    return "".join(pieces)


def _packed(strings: Sequence[str]) -> tuple[npt.NDArray[np.uint8], Integers]:
    encoded = [string.encode() for string in strings]
    bounds = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), bounds


def _unpacked(content: npt.NDArray[np.uint8], bounds: Integers) -> list[str]:
    whole = content.tobytes()
    return [whole[start:end].decode() for start, end in pairwise(bounds.tolist())]


@njit(cache=True, nogil=True)
def _hash_windows(hashes, first, width):  # type: ignore[no-untyped-def]  # compiled
    """Polynomials in the hashes of `width` units, modulo 2^64."""
    result = np.zeros(len(first), np.uint64)
    for window in range(len(first)):
        value = np.uint64(0)
        for place in range(first[window], first[window] + width):
            value = value * GOLDEN + hashes[place]
        result[window] = value
    return result


@njit(cache=True, nogil=True)
def _set_bits(bits, hashes):  # type: ignore[no-untyped-def]  # compiled
    shift = _shift(bits)
    for value in hashes:
        bit = value >> shift
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))


@njit(cache=True, nogil=True)
def _shift(bits):  # type: ignore[no-untyped-def]  # compiled
    """How far to shift a hash so that as many bits are left as count the bits of the filter."""
    shift, size = 64 - 6, len(bits)
    while size > 1:
        shift, size = shift - 1, size >> 1
    return np.uint64(shift)


@njit(cache=True, nogil=True)
def _first_matches(hashes, offsets, sought_units, width, sought, first, last, bits):  # type: ignore[no-untyped-def]  # compiled
    """Per text where the first window begins that is looked for, and which; -1: none. int64 [n] each."""
    texts = len(offsets) - 1
    places, entries = np.full(texts, -1, np.int64), np.full(texts, -1, np.int64)
    shift = _shift(bits)
    highest = np.uint64(1)
    for _ in range(width):
        highest *= GOLDEN
    for text in range(texts):
        start, end = offsets[text], offsets[text + 1]
        value = np.uint64(0)
        for place in range(start, end):
            value = value * GOLDEN + hashes[place]
            begin = place - width + 1
            if begin < start:
                continue
            if begin > start:
                value -= hashes[begin - 1] * highest
            bit = value >> shift
            if not (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                continue
            entry = _entry_of(hashes, begin, end, value, sought_units, sought, first, last)
            if entry >= 0:
                places[text], entries[text] = begin - start, entry
                break
    return places, entries


@njit(cache=True, nogil=True)
def _entry_of(hashes, begin, end, value, sought_units, sought, first, last):  # type: ignore[no-untyped-def]  # compiled
    """The first window with the hash `value` all of whose units stand at `begin`, or -1."""
    entry = np.searchsorted(sought, value)
    while entry < len(sought) and sought[entry] == value:
        length = last[entry] - first[entry]
        same = begin + length <= end
        offset = 0
        while same and offset < length:
            same = hashes[begin + offset] == sought_units[first[entry] + offset]
            offset += 1
        if same:
            return entry
        entry += 1
    return -1
