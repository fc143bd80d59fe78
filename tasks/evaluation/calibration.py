"""Whether a model is right as often as its probabilities say: of what it is 80 % sure of, four in five.

The expected calibration error is the mean distance between both over bins of equally wide probability (Guo et
al. 2017, arXiv 1706.04599). It is never 0: with few examples a perfectly calibrated model shows some, too, so
what 95 of 100 such models stay below stands beside it (a consistency test: Vaicenavicius et al. 2019, arXiv
1902.06977). Only what lies above is a fault of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.evaluation.certainty import LEVEL
from tasks.evaluation.paired_bootstrap import DIGITS, SEED, bootstrap_counts, bundles_of

BINS = 15
SAMPLES = 2000


def calibration(right: Sequence[bool], probabilities: Sequence[float], groups: np.ndarray) -> dict[str, Any]:
    """The expected calibration `error` with its interval, what is `by_chance`, and the bins of the diagram.

    `right` says whether each prediction is, `probabilities` what the model gave it. Empty bins are left out.
    """
    hits, sure = np.array(right, np.float64), np.array(probabilities, np.float64)
    which = np.minimum((sure * BINS).astype(int), BINS - 1)
    error = float(_errors(np.ones((1, len(hits))), hits - sure, which)[0])
    units = bundles_of(groups)
    drawn = np.concatenate(
        [
            _errors(counts[:, units], hits - sure, which)
            for counts in bootstrap_counts(int(units.max()) + 1, SAMPLES)
        ]
    )
    tail = (1 - LEVEL) / 2
    # Samples show more error than there is, by about as much as the examples do: the basic interval.
    high, low = (2 * error - np.quantile(drawn, [tail, 1 - tail])).tolist()
    luck = np.random.default_rng(SEED)
    once = np.ones((1, len(hits)))
    calibrated = [float(_errors(once, (luck.random(len(sure)) < sure) - sure, which)[0]) for _ in range(1000)]
    found = {"error": error, "low": max(low, 0.0), "high": max(high, error)}
    found["by_chance"] = float(np.quantile(calibrated, LEVEL))
    bins = [_bin(number, hits[which == number], sure[which == number]) for number in np.unique(which)]
    return {name: round(value, DIGITS) for name, value in found.items()} | {"bins": bins}


def _errors(counts: np.ndarray, apart: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The error of samples, [samples], from how far each example is from its probability."""
    rows = np.zeros((len(apart), BINS))
    rows[np.arange(len(apart)), which] = apart
    errors: np.ndarray = np.abs(counts @ rows).sum(axis=1) / counts.sum(axis=1)
    return errors


def _bin(number: int, hits: np.ndarray, sure: np.ndarray) -> dict[str, Any]:
    means = {"probability": round(float(sure.mean()), DIGITS), "right": round(float(hits.mean()), DIGITS)}
    return {
        "from": round(number / BINS, 4),
        "to": round((number + 1) / BINS, 4),
        "examples": len(hits),
        **means,
    }
