"""Random numbers that are computed from where they are used instead of being drawn one after the other.

A number depends on (seed, step), the row's place in the whole batch of the step, the column and a name. So
every rank, every micro-batch and every resumed run finds the numbers that an undivided run would have found.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_code.data.permutation import mixed

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the increment of SplitMix64 (Steele et al. 2014)


@dataclass(frozen=True)
class Noise:
    """The randomness of one step; `rows` int64 [R] are the places of the rows in the step's whole batch."""

    seed: int
    step: int
    rows: npt.NDArray[np.int64]

    def uniform(self, name: str, columns: int) -> npt.NDArray[np.float64]:
        """Numbers in [0, 1), float64 [R, columns]; every name gives others."""
        return (self._bits(name, columns) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, name: str, columns: int, end: int) -> npt.NDArray[np.int64]:
        """Numbers in [0, end), int64 [R, columns]."""
        return (self.uniform(name, columns) * end).astype(np.int64)

    def _bits(self, name: str, columns: int) -> npt.NDArray[np.uint64]:
        entropy = [self.seed, self.step, zlib.crc32(name.encode())]
        key = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
        rows = mixed(self.rows.astype(np.uint64) * _GOLDEN + key)
        return mixed(rows[:, None] + np.arange(1, columns + 1, dtype=np.uint64) * _GOLDEN)


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed for one step; neighbouring steps and seeds get unrelated ones."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
