"""The order without a table: every place once, no pattern, the same on every machine."""

import numpy as np
import pytest

from model_code.data.permutation import permuted


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 65, 1000, 4097])
def test_every_place_comes_once(size: int) -> None:
    order = permuted(np.arange(size), size, (0, 0))
    assert sorted(order.tolist()) == list(range(size))
    picked = np.array([size - 1, 0, size // 2])
    assert permuted(picked, size, (0, 0)).tolist() == order[picked].tolist()


def test_the_order_is_the_same_for_ever() -> None:
    # Noted once: another order would change what a resumed run reads.
    assert permuted(np.arange(8), 10, (1, 2)).tolist() == [4, 6, 1, 5, 7, 9, 0, 8]
    assert permuted(np.arange(8), 16, (1, 2)).tolist() == [4, 10, 11, 5, 7, 9, 0, 14]


def test_any_number_goes_to_any_place_equally_often() -> None:
    size, keys = 7, 7000
    counts = np.zeros((size, size))
    for key in range(keys):
        counts[np.arange(size), permuted(np.arange(size), size, (key,))] += 1
    expected = keys / size
    # Chi-square with 36 degrees of freedom: above 80 once in 30,000 fair draws.
    assert ((counts - expected) ** 2 / expected).sum() < 80


def test_neighbours_do_not_stay_neighbours() -> None:
    order = permuted(np.arange(100_000), 100_000, (3,)).astype(np.float64)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.02


def test_billions_of_places_cost_nothing_until_read() -> None:
    size = 3_000_000_000
    places = np.array([0, 1, size - 1])
    found = permuted(places, size, (0,))
    assert len(set(found.tolist())) == 3
    assert 0 <= found.min() <= found.max() < size
