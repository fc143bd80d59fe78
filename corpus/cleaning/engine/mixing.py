"""Mixing: how much of each source stays, drawn by document id.

A document's draw is a number that its id and the seed alone decide. A source keeps the draws below its
rate, and of these at most its cap, the smallest first. So a corpus that grows keeps the documents it had,
but for those that a cap or a changed rate moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from corpus.cleaning.config import MixConfig
from corpus.errors import CorpusError

_MULTIPLIER = 0x9E3779B97F4A7C15  # the increment and finisher of SplitMix64 (Steele et al. 2014)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def draws(ids: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each of `ids`, uint8[n, 16], evenly spread."""
    state = np.ascontiguousarray(ids[:, :8]).view("<u8")[:, 0]
    state = state + np.uint64((seed + 1) * _MULTIPLIER % 2**64)
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    # The upper 53 bits: as many as a float64 holds.
    return np.asarray(np.ldexp(((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64), -53))


def rates(sizes: Mapping[str, int], config: MixConfig) -> dict[str, float]:
    """The share of its documents that each source keeps before caps.

    With temperature t a source of n documents is thinned to m^(1-t) n^t, m being the smallest source's
    number: the smallest stays whole (Conneau et al. 2020, arXiv:1911.02116, sample languages so).
    """
    smallest = min((size for size in sizes.values() if size), default=1)
    return {
        source: config.weights.get(source, 1.0) * (smallest / max(size, smallest)) ** (1 - config.temperature)
        for source, size in sizes.items()
    }


def left_out(
    ids: npt.NDArray[np.uint8],
    ranks: npt.NDArray[np.integer],
    candidates: npt.NDArray[np.bool_],
    sources: Sequence[str],
    config: MixConfig,
) -> npt.NDArray[np.bool_]:
    """Which of the candidates mixing leaves out, bool[n].

    Args:
        ids: uint8[n, 16], the documents' ids.
        ranks: int[n], each document's source as an index into `sources`.
        candidates: bool[n], the documents that are still there; others are never True in the answer.
        sources: the sources' names.
        config: weights, caps, temperature and seed.
    """
    out = np.zeros(len(ids), np.bool_)
    if not config.weights and not config.caps and config.temperature == 1:
        return out
    rows = np.flatnonzero(candidates)
    rows = rows[np.argsort(ranks[rows], kind="stable")]
    rows_of = np.split(rows, np.searchsorted(ranks[rows], np.arange(1, len(sources))))
    share = rates({source: len(rows) for source, rows in zip(sources, rows_of, strict=True)}, config)
    for source, rows in zip(sources, rows_of, strict=True):
        drawn = draws(ids[rows], config.seed)
        bound = share[source]
        below = drawn[drawn < bound]
        if (cap := config.caps.get(source, len(below))) < len(below):
            bound = np.partition(below, cap)[cap]
        out[rows] = drawn >= bound
    return out


def check_sources(sources: Sequence[str], config: MixConfig) -> None:
    """Raise CorpusError when the recipe mixes a source of which there is no document."""
    if unknown := sorted((config.weights.keys() | config.caps.keys()) - set(sources)):
        raise CorpusError(
            f"clean.mix names the source {unknown[0]!r}, but the documents are of "
            f"{', '.join(map(repr, sources))}; correct the name in the recipe"
        )
