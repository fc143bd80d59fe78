"""The calibration error is the one of the definition, and what chance shows is told apart from a fault."""

import numpy as np
import pytest

from tasks.evaluation.calibration import BINS, calibration


def drawn(examples: int, off: float, seed: int = 0) -> tuple[list[bool], list[float]]:
    """Predictions that are right less often than their probability says, by `off`."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.4, 1, examples)
    return [*(rng.random(examples) < sure - off)], [*sure]


def test_the_error_is_the_mean_distance_in_bins() -> None:
    right, sure = [True, True, False, True], [0.95, 0.95, 0.95, 0.5]
    found = calibration(right, sure, np.arange(4))
    assert found["error"] == pytest.approx(3 / 4 * abs(2 / 3 - 0.95) + 1 / 4 * (1 - 0.5))
    low, high = found["bins"]
    assert (low["examples"], low["probability"], low["right"]) == (1, 0.5, 1)
    assert (high["examples"], high["probability"]) == (3, 0.95)
    assert high["from"] == pytest.approx(14 / BINS, abs=1e-4)


def test_a_probability_of_one_is_in_the_last_bin() -> None:
    found = calibration([True] * 10, [1.0] * 10, np.arange(10))
    assert (found["error"], found["by_chance"], found["bins"][0]["to"]) == (0, 0, 1)


def test_what_a_calibrated_model_shows_is_chance_and_what_another_shows_is_not() -> None:
    good = calibration(*drawn(2000, 0.0), np.arange(2000))
    bad = calibration(*drawn(2000, 0.1), np.arange(2000))
    assert good["error"] <= good["by_chance"] < 0.05
    assert bad["error"] > 2 * bad["by_chance"]
    assert bad["low"] <= 0.1 <= bad["high"]
    assert calibration(*drawn(2000, 0.1), np.arange(2000)) == bad


def test_few_examples_may_be_off_by_chance() -> None:
    assert calibration(*drawn(40, 0.0), np.arange(40))["by_chance"] > 0.1
