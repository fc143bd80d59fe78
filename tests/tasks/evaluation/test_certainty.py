"""What a number of examples can show, and how many can show what is asked."""

import pytest
from scipy.stats import binom

from tasks.evaluation.certainty import CERTAINTY, examples_needed, may_be_missed, smallest_difference


@pytest.mark.parametrize("groups", [1, 30, 1000])
def test_what_may_be_missed_shows_itself_as_surely_as_is_asked(groups: int) -> None:
    assert binom.pmf(0, groups, may_be_missed(groups)) == pytest.approx(1 - CERTAINTY)


@pytest.mark.parametrize("distance", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("error", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_so_many_examples_show_what_is_asked_and_a_few_less_don_t(
    distance: float, error: float, scale: float
) -> None:
    """The error of a mean falls with the root of the number of examples."""
    groups, error, distance = 200, error * scale, distance * scale
    needed = examples_needed(error, groups, distance, scale)

    def shown(count: int) -> float:
        return smallest_difference(error * (groups / count) ** 0.5, count, scale)

    assert shown(needed) <= distance * 1.001
    assert shown(needed - max(2, needed // 10)) > distance
