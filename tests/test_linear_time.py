"""The measure itself tells linear from quadratic."""

from tests.linear_time import takes_linear_time


def test_quadratic_is_noticed() -> None:
    assert takes_linear_time(lambda size: sum(range(size * 1000)), 4000)
    # So large that the quarter takes longer than what the clock can't tell.
    assert not takes_linear_time(lambda size: [sum(range(size)) for _ in range(size)], 8000)
