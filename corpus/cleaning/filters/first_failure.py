"""The filters: the first rule that each document of a batch fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.cleaning.config import FiltersConfig
from corpus.cleaning.filters.measures import measure
from corpus.cleaning.filters.rule_sets import rules_of


def first_failures(
    texts: pa.StringArray, languages: Sequence[str], config: FiltersConfig
) -> tuple[list[str | None], npt.NDArray[np.float64]]:
    """The first rule that each text fails, None where it passes all, and what that rule measured.

    A value that equals the threshold passes.

    Args:
        texts: n repaired texts without nulls.
        languages: n ISO 639-1 codes, or `und`, for which the thresholds of `all` hold.

    Returns:
        n rule names; float64 [n], NaN for texts that pass.
    """
    rules = rules_of(config.sets, config.thresholds)
    measured = measure(texts, languages, {rule.measure for rule in rules})
    codes, rows = np.unique(np.array(languages, np.str_), return_inverse=True)
    failed = np.full(len(texts), -1)
    failing_values = np.full(len(texts), np.nan)
    for number, rule in enumerate(rules):
        thresholds = np.array([rule.threshold(code) for code in codes])[rows]
        values = measured[rule.measure]
        fails = (values < thresholds) if rule.bound == ">=" else (values > thresholds)
        fails &= failed < 0
        failed[fails], failing_values[fails] = number, values[fails]
    return [rules[number].name if number >= 0 else None for number in failed], failing_values
