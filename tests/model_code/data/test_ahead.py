import threading

import pytest

from model_code.data.ahead import Ahead


def test_the_next_place_is_made_before_it_is_asked_for() -> None:
    begun = {place: threading.Event() for place in range(100)}

    def make(place: int) -> int:
        begun[place].set()
        return place**2

    ahead = Ahead(make)
    assert ahead(0) == 0
    assert begun[1].wait(5)
    assert [ahead(place) for place in (1, 2, 50, 3)] == [1, 4, 2500, 9]


def test_an_error_is_raised_where_its_place_is_asked_for() -> None:
    ahead = Ahead(lambda place: 1 / (2 - place))
    assert [ahead(0), ahead(1)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        ahead(2)
