"""Lines that many documents of one source share: page headers, footers, licence notes.

One pass counts in how many documents of its source each line occurs, the next removes the frequent ones.
Counts live in a table of fixed size, a count-min sketch with two rows (Cormode and Muthukrishnan 2005):
tables of parts of a corpus are added, and neither order nor cuts matter. Counts are never too small. To
keep other lines that share a counter from adding up to boilerplate, a line has to exceed its bound by
four times what counters hold at the median. What remains is that a line meets a frequent one in both
rows: with h frequent lines in the corpus that happens to a share of (h / 2^23)^2 of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpus.cleaning.config import BoilerplateConfig
from corpus.cleaning.text.text_units import GOLDEN, mix64
from corpus.cleaning.text.utf8 import utf8_buffers

_WIDTH = 1 << 23
_NOISE = 4
_SAMPLE = 1 << 14
_NEWLINE, _SPACE = 0x0A, 0x20
_CONTINUED, _CONTINUATION = 0xC0, 0x80  # what marks the bytes after a character's first


class LineTable:
    """In how many documents of its source a line occurs; 64 MB, whatever the size of the corpus.

    The documents of a source are counted as the ones that hold its empty line.
    """

    def __init__(self, config: BoilerplateConfig, counts: npt.NDArray[np.uint32] | None = None) -> None:
        self.config = config
        self.counts = np.zeros((2, _WIDTH), np.uint32) if counts is None else counts

    def add(self, other: LineTable) -> None:
        """Count the documents of `other` too."""
        self.counts = self.counts + other.counts  # what comes from elsewhere may be read-only

    def save(self, path: Path) -> None:
        """Write the counts to `path`, a `.npy` file."""
        np.save(path, self.counts, allow_pickle=False)

    @classmethod
    def load(cls, path: Path, config: BoilerplateConfig) -> LineTable:
        """Counts that `save` wrote, mapped into memory so that the processes of a machine share them."""
        return cls(config, np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)))

    def bounds(self, seeds: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
        """In how many documents of the sources with these `seeds` a line has to occur to go."""
        documents = _documents(self.counts, seeds)
        wanted = np.maximum(self.config.min_documents, self.config.min_share * documents)
        return np.asarray(wanted + _NOISE * np.median(self.counts[0, :_SAMPLE]))

    def has_boilerplate(self, sources: Sequence[str]) -> bool:
        """Whether in any of all the `sources` a line occurs often enough to go."""
        if not sources:
            return False
        seeds, _ = _seeds(pa.array(sources, pa.string()))
        frequent = np.flatnonzero(self.counts[0] >= self.bounds(seeds).min())
        return not np.isin(frequent, _counters(seeds)).all()


def count_lines(texts: pa.StringArray, sources: pa.StringArray, table: LineTable) -> None:
    """Count the lines of n texts in `table`, a line once per text; `sources` are the texts' sources."""
    seeds, which = _seeds(sources)
    _count_lines(*utf8_buffers(texts), seeds[which], table.config.min_characters, table.counts)


def remove(
    texts: pa.StringArray, sources: pa.StringArray, table: LineTable
) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    """The texts without the lines that are frequent in their source, and how many went, int32[n].

    Lines are compared without white space (ASCII) at their ends. Texts of which no line goes are unchanged.
    """
    seeds, which = _seeds(sources)
    content, bounds = utf8_buffers(texts)
    kept = np.empty(bounds[-1] - bounds[0], np.uint8)
    kept_bounds, removed = np.zeros(len(texts) + 1, np.int32), np.zeros(len(texts), np.int32)
    least, most = table.config.min_characters, table.bounds(seeds)
    _remove_lines(content, bounds, seeds[which], most[which], least, table.counts, kept, kept_bounds, removed)
    if not removed.any():
        return texts, removed
    offsets, values = pa.py_buffer(kept_bounds), pa.py_buffer(kept[: kept_bounds[-1]])
    return pa.StringArray.from_buffers(len(texts), offsets, values), removed


def _seeds(sources: pa.StringArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """A hash of each different source, and which of them each text has."""
    encoded = sources.dictionary_encode()
    digests = [blake2b(source.encode(), digest_size=8).digest() for source in encoded.dictionary.to_pylist()]
    return np.frombuffer(b"".join(digests), "<u8"), encoded.indices.to_numpy().astype(np.int64)


@njit(cache=True, nogil=True)
def _count_lines(content, bounds, seeds, least, counts):  # type: ignore[no-untyped-def]  # compiled
    for text in range(len(bounds) - 1):
        start, end = bounds[text], bounds[text + 1]
        lines = np.empty((end - start) // least + 2, np.uint64)
        lines[0] = mix64(seeds[text])
        line_count = 1
        while start < end:
            stop = _line_end(content, start, end)
            lines[line_count], counted = _hash_line(content, start, stop, seeds[text], least)
            line_count += counted
            start = stop + 1
        lines = lines[:line_count]
        lines.sort()
        for index in range(line_count):
            if index == 0 or lines[index] != lines[index - 1]:
                counts[0, _first(lines[index])] += np.uint32(1)
                counts[1, _second(lines[index])] += np.uint32(1)


@njit(cache=True, nogil=True)
def _remove_lines(  # type: ignore[no-untyped-def]  # compiled
    content, bounds, seeds, most, least, counts, kept, kept_bounds, removed
):
    size = 0
    for text in range(len(bounds) - 1):
        start, end = bounds[text], bounds[text + 1]
        begin, run = size, start  # lines that stay are copied in runs
        while start < end:
            stop = _line_end(content, start, end)
            line, counted = _hash_line(content, start, stop, seeds[text], least)
            if counted and _occurrences(counts, line) >= most[text]:
                size = _copy(content, run, start, kept, size)
                run = min(stop + 1, end)
                removed[text] += 1
            start = stop + 1
        size = _copy(content, run, end, kept, size)
        # Where the last line went, so does the newline before it.
        if removed[text] and run == end and size > begin and content[end - 1] != _NEWLINE:
            size -= 1
        kept_bounds[text + 1] = size


@njit(cache=True, nogil=True)
def _copy(content, start, end, kept, size):  # type: ignore[no-untyped-def]  # compiled
    for position in range(start, end):  # numba compiles a copy of slices for three seconds
        kept[size] = content[position]
        size += 1
    return size


@njit(cache=True, nogil=True)
def _line_end(content, start, end):  # type: ignore[no-untyped-def]  # compiled
    while start < end and content[start] != _NEWLINE:
        start += 1
    return start


@njit(cache=True, nogil=True)
def _hash_line(content, start, end, seed, least):  # type: ignore[no-untyped-def]  # compiled
    """Hash of a line without white space at its ends, and whether it has as many as `least` characters."""
    while start < end and content[start] <= _SPACE:
        start += 1
    while start < end and content[end - 1] <= _SPACE:
        end -= 1
    characters = 0
    state = seed
    for byte in content[start:end]:
        characters += byte & _CONTINUED != _CONTINUATION
        state = (state ^ np.uint64(byte)) * GOLDEN
    return mix64(state), characters >= least


@njit(cache=True, nogil=True)
def _occurrences(counts, line):  # type: ignore[no-untyped-def]  # compiled
    """In how many documents a line occurs: the smaller of its two counters."""
    return min(counts[0, _first(line)], counts[1, _second(line)])


@njit(cache=True, nogil=True)
def _documents(counts, seeds):  # type: ignore[no-untyped-def]  # compiled
    """How many documents each source has, at most."""
    documents = np.empty(len(seeds), np.float64)
    for source in range(len(seeds)):
        documents[source] = _occurrences(counts, mix64(seeds[source]))
    return documents


@njit(cache=True, nogil=True)
def _counters(seeds):  # type: ignore[no-untyped-def]  # compiled
    """Where in the first row the documents of each source are counted."""
    places = np.empty(len(seeds), np.int64)
    for source in range(len(seeds)):
        places[source] = _first(mix64(seeds[source]))
    return places


@njit(cache=True, nogil=True)
def _first(line):  # type: ignore[no-untyped-def]  # compiled
    return np.int64(line & np.uint64(_WIDTH - 1))


@njit(cache=True, nogil=True)
def _second(line):  # type: ignore[no-untyped-def]  # compiled
    return np.int64((line >> np.uint64(32)) & np.uint64(_WIDTH - 1))
