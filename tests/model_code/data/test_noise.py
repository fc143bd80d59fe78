"""Noise: evenly spread, and the same however rows are divided."""

import numpy as np
import pytest

from model_code.data.noise import Noise, step_seed


def test_numbers_depend_on_the_row_and_not_on_its_company() -> None:
    whole = Noise(1, 7, np.arange(8)).uniform("mask", 100)
    parts = [Noise(1, 7, np.arange(start, start + 2)).uniform("mask", 100) for start in (0, 2, 4, 6)]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_seed_step_and_name_change_every_number() -> None:
    first = Noise(1, 7, np.arange(4)).uniform("mask", 100)
    for other in (Noise(2, 7, np.arange(4)), Noise(1, 8, np.arange(4))):
        assert not np.isclose(other.uniform("mask", 100), first, atol=1e-9).any()
    assert not np.isclose(Noise(1, 7, np.arange(4)).uniform("fate", 100), first, atol=1e-9).any()


def test_numbers_are_evenly_spread() -> None:
    numbers = Noise(3, 0, np.arange(256)).uniform("mask", 512)
    counts, _ = np.histogram(numbers, bins=64, range=(0, 1))
    expected = numbers.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # chi-squared, 63 degrees, p > 0.0002
    assert np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1] == pytest.approx(0, abs=0.015)
    assert np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1] == pytest.approx(0, abs=0.015)


def test_integers_stay_inside() -> None:
    numbers = Noise(0, 0, np.arange(64)).integers("random", 512, 7)
    assert set(np.unique(numbers)) == set(range(7))


def test_steps_have_seeds_of_their_own() -> None:
    assert len({step_seed(seed, step) for seed in range(10) for step in range(100)}) == 1000
