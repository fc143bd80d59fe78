"""Counted outcomes: McNemar's test, and intervals that hold what they should."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from tasks.evaluation.paired_outcomes import Outcomes, _score, wilson


def test_the_test_is_mcnemars_exact_below_25_disagreements() -> None:
    few, many = Outcomes(500, 9, 3), Outcomes(500, 30, 15)
    assert few.p_value() == pytest.approx(binomtest(3, 12).pvalue)
    assert many.p_value() == pytest.approx(chi2.sf((30 - 15) ** 2 / 45, 1))
    assert (few.is_exact, many.is_exact) == (True, False)
    assert Outcomes(500, 0, 0).p_value() == 1


def test_where_only_one_wins_tangos_interval_is_wilsons() -> None:
    assert Outcomes(100, 43, 0).interval(0.95) == pytest.approx(wilson(43, 100, 0.95))


def test_the_score_goes_by_the_likeliest_probabilities() -> None:
    n, won, lost, difference = 100, 30, 12, 0.1
    losing = np.linspace(1e-6, (1 - difference) / 2 - 1e-6, 400_001)
    same = 1 - 2 * losing - difference
    likelihood = won * np.log(losing + difference) + lost * np.log(losing) + (n - won - lost) * np.log(same)
    likeliest = losing[np.argmax(likelihood)]
    variance = n * (2 * likeliest + difference - difference**2)
    expected = (won - lost - n * difference) / math.sqrt(variance)
    assert _score(Outcomes(n, won, lost), difference) == pytest.approx(expected, abs=1e-5)


def test_the_score_is_mcnemars_where_no_difference_is_in_question() -> None:
    """Both say the same about 0: the bound crosses it where McNemar's statistic crosses its limit."""
    for won, lost in itertools.product(range(20, 80, 4), range(20, 60, 3)):
        outcomes = Outcomes(400, won, lost)
        low, high = outcomes.interval(0.95)
        assert (low > 0 or high < 0) == (outcomes.p_value() < 0.05)
        assert low < outcomes.difference < high


def test_the_two_sides_are_alike() -> None:
    for won, lost in ((3, 8), (40, 25), (0, 0), (30, 0)):
        low, high = Outcomes(300, won, lost).interval(0.98)
        assert Outcomes(300, lost, won).interval(0.98) == pytest.approx((-high, -low))


def test_where_nothing_differed_something_may_have_been_missed() -> None:
    low, high = Outcomes(100, 0, 0).interval(0.98)
    assert low == -high
    assert -low == pytest.approx(1 - 0.005 ** (1 / 100))  # half of the 1 % is for who wins


@pytest.mark.parametrize(("won", "lost"), [(0.01, 0.03), (0.1, 0.12), (0.002, 0.022)])
@pytest.mark.parametrize("examples", [60, 300, 1000])
def test_the_bound_is_wrong_as_rarely_as_it_says(won: float, lost: float, examples: int) -> None:
    drawn = np.random.default_rng(0).multinomial(examples, [won, lost, 1 - won - lost], size=1000)
    wrong = sum(Outcomes(examples, int(w), int(x)).interval(0.98)[0] > won - lost for w, x, _ in drawn)
    assert wrong <= 20  # 10 of 1,000 are expected at most


def test_a_share_has_wilsons_interval() -> None:
    share, count, z = 0.7, 100, 1.959964
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    assert wilson(70, 100, 0.95) == pytest.approx((middle - half, middle + half))
