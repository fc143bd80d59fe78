import math
from itertools import pairwise, product

import pytest

from model_code.served.rows import Frame, Window, windows


def test_every_token_is_owned_once_by_a_window_that_holds_it() -> None:
    for length, size in product((0, 1, 7, 8, 9, 23, 64), (1, 8, 13)):
        for overlap in range(size):
            found = windows(length, size, overlap)
            owned = [token for window in found for token in range(window.own_start, window.own_end)]
            assert owned == list(range(length))
            assert all(w.start <= w.own_start <= w.own_end <= w.end <= w.start + size for w in found)
            assert all(before.end - after.start >= overlap for before, after in pairwise(found))


def test_a_token_is_owned_by_the_window_that_shows_most_on_both_its_sides() -> None:
    found = windows(20, 10, 4)
    for token in range(20):
        margins = {
            w.own_start <= token < w.own_end: min(token - w.start, w.end - 1 - token)
            for w in found
            if w.start <= token < w.end
        }
        inner = 5 <= token < 15  # elsewhere a window ends where the sequence does
        assert not inner or margins[True] >= margins.get(False, 0)


def test_what_fits_is_one_window() -> None:
    assert [(w.start, w.end) for w in windows(8, 8, 7)] == [(0, 8)]


def test_windows_that_would_not_move_on_are_refused() -> None:
    with pytest.raises(ValueError, match="windows of 8 tokens can't overlap by 8"):
        windows(20, 8, 8)


def test_windows_are_full_as_few_as_can_be_and_evenly_spread() -> None:
    assert windows(20, 10, 4) == [Window(0, 10, 0, 7), Window(5, 15, 7, 12), Window(10, 20, 12, 20)]
    for length, size in product((9, 23, 64), (5, 8)):
        for overlap in range(size):
            found = windows(length, size, overlap)
            assert {window.end - window.start for window in found} == {size}
            assert len(found) == 1 + math.ceil((length - size) / (size - overlap))
            moves = [after.start - before.start for before, after in pairwise(found)]
            assert max(moves) - min(moves) <= 1


@pytest.mark.parametrize("overlap", [-1, 9])
def test_an_overlap_that_is_none_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"can't overlap by {overlap}"):
        windows(20, 8, overlap)


def test_a_frame_stands_around_texts_and_tells_both_apart() -> None:
    """As BERT has it (Devlin et al. 2019): the separator between them belongs to the first text."""
    frame = Frame(before=(2,), between=(3,), after=(4, 5))
    ids, types = frame.around([10, 11], [20])
    assert ids == [2, 10, 11, 3, 20, 4, 5]
    assert types == [0, 0, 0, 0, 1, 1, 1]
    assert frame.size == len(ids) - 3
    own = Frame(before=(2,), between=(3,), after=(4,), types=(5, 6, 7, 8, 9))
    assert own.around([10], [20]) == ([2, 10, 3, 20, 4], [5, 6, 7, 8, 9])


def test_a_single_text_has_what_is_around_it_too() -> None:
    frame = Frame(before=(2,), between=(), after=(4,), types=(0, 0, 0, 1, 0))
    assert frame.around([10, 11]) == ([2, 10, 11, 4], [0, 0, 0, 0])
