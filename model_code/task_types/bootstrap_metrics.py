"""The main metric on bootstrap samples of a test set, for `tasks/evaluation/paired_bootstrap.py`.

In such a sample some examples occur several times and others not at all.

A task type's `resampled(examples, predictions, settings)` returns such a function: from counts, [samples,
examples], to its METRIC of each sample, [samples]. What an example adds to the figure is computed once. Where
the figure follows from sums over the examples, the function is `Sums`: then examples that are drawn together
are added up before any is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Resampled = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sums:
    """A figure of sums: what each example adds to them, [examples, sums], and how it follows from them."""

    rows: Any
    figure: Callable[[np.ndarray], np.ndarray]

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """The figure of samples in which the examples, or bundles of them, occur so often."""
        return self.figure(np.asarray(counts @ self.rows))

    def bundled(self, bundle: np.ndarray) -> Sums:
        """The same of bundles of examples, numbered from 0: `bundle` says which one each example is in."""
        from scipy.sparse import csr_array

        having = csr_array((np.ones(len(bundle)), (bundle, np.arange(len(bundle)))))
        rows = having @ self.rows
        return Sums(rows if isinstance(rows, np.ndarray) else rows.toarray(), self.figure)

    @property
    def outcomes(self) -> np.ndarray | None:
        """Of a share of examples whether each is right, bool [examples]; None for any other figure."""
        return None


class Mean(Sums):
    """The mean of a figure that each example has for itself."""

    @property
    def outcomes(self) -> np.ndarray | None:
        """Whether each example is right, where its figure says nothing but this."""
        values = self.rows[:, 0]
        return values > 0 if np.isin(values, (0, 1)).all() else None


def mean(values: Sequence[float] | np.ndarray) -> Mean:
    """The mean of a figure that each example has for itself."""
    values = np.asarray(values, np.float64)
    return Mean(np.stack([values, np.ones(len(values))], axis=1), lambda sums: sums[:, 0] / sums[:, 1])


def macro_f1(true: Any, said: Any) -> Sums:
    """The mean over the labels of F1, from 0 and 1 for each example and label, [examples, labels].

    A label that a sample holds neither in truth nor in predictions counts as it does in the whole set.
    """
    from scipy.sparse import csr_array, hstack

    true, said = csr_array(true), csr_array(said)
    right, given = true.multiply(said).tocsr(), (true + said).tocsr()
    labels, occurring = given.shape[1], np.count_nonzero(given.sum(axis=0))

    def figure(sums: np.ndarray) -> np.ndarray:
        of_right, of_labels = sums[:, :labels], sums[:, labels:]
        f1 = 2 * of_right / np.maximum(1, of_labels)
        macro = f1.sum(axis=1) / np.maximum(1, (of_labels > 0).sum(axis=1))
        return np.asarray(macro * occurring / labels)

    return Sums(hstack([right, given], format="csr"), figure)


def micro_f1(right: Sequence[int], given: Sequence[int]) -> Sums:
    """F1 over all that there is to find: of each example how much is right, and how much is true or said."""

    def figure(sums: np.ndarray) -> np.ndarray:
        return np.asarray(2 * sums[:, 0] / np.maximum(1, sums[:, 1]))

    return Sums(np.array([right, given], np.float64).T, figure)
