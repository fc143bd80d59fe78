"""The main metric on bootstrap samples of a test set, for `tasks/evaluation/paired_bootstrap.py`.

In such a sample some examples occur several times and others not at all.

A task type's `resampled(examples, predictions, settings)` returns such a function: from counts, [samples,
examples], to its METRIC of each sample, [samples]. What an example adds to the figure is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Resampled = Callable[[np.ndarray], np.ndarray]


def mean(values: Sequence[float] | np.ndarray) -> Resampled:
    """The mean of a figure that each example has for itself."""
    values = np.asarray(values, np.float64)
    return lambda counts: counts @ values / counts.sum(axis=1)


def macro_f1(true: Any, said: Any) -> Resampled:
    """The mean over the labels of F1, from 0 and 1 for each example and label, [examples, labels].

    A label that a sample holds neither in truth nor in predictions counts as it does in the whole set.
    """
    from scipy.sparse import csr_array

    true, said = csr_array(true), csr_array(said)
    right, given = true.multiply(said).tocsr(), (true + said).tocsr()
    labels, occurring = given.shape[1], np.count_nonzero(given.sum(axis=0))

    def figure(counts: np.ndarray) -> np.ndarray:
        of_labels = counts @ given
        f1 = 2 * (counts @ right) / np.maximum(1, of_labels)
        macro = f1.sum(axis=1) / np.maximum(1, (of_labels > 0).sum(axis=1))
        return np.asarray(macro * occurring / labels)

    return figure


def micro_f1(right: Sequence[int], given: Sequence[int]) -> Resampled:
    """F1 over all that there is to find: of each example how much is right, and how much is true or said."""
    both = np.array([right, given], np.float64).T

    def figure(counts: np.ndarray) -> np.ndarray:
        sums = counts @ both
        return np.asarray(2 * sums[:, 0] / np.maximum(1, sums[:, 1]))

    return figure
