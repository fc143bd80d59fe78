import math
import random

from model_code.training.guard import FEWEST, IN_A_ROW, Guard


def seasoned(noise: float = 0.05) -> Guard:
    rng, guard = random.Random(0), Guard()
    for step in range(200):
        assert guard.trouble(3 + 4 * 0.95**step + rng.gauss(0, noise), 1.0) is None
    return guard


def test_what_is_not_finite_is_trouble() -> None:
    guard = seasoned()
    assert guard.trouble(math.nan, 1.0) == "the loss is nan"
    assert guard.trouble(3.0, math.inf) == "the gradient norm is inf"
    assert guard.in_a_row == 2
    assert guard.trouble(3.1, 1.0) is None
    assert guard.in_a_row == 0


def test_a_leap_is_trouble_and_a_hard_batch_is_not() -> None:
    guard = seasoned()
    assert guard.trouble(3.5, 1.0) is None
    assert guard.trouble(4.6, 1.0) == "the loss leaps to 4.6 from 3.01"
    assert seasoned(noise=0.3).trouble(4.6, 1.0) is None
    assert Guard(spikes=False, losses=guard.losses).trouble(99.0, 1.0) is None


def test_a_young_run_has_no_spikes() -> None:
    guard = Guard()
    for _ in range(FEWEST - 1):
        assert guard.trouble(3.0, 1.0) is None
    assert guard.trouble(6.0, 1.0) is None
    assert guard.trouble(6.0, 1.0) == "the loss leaps to 6 from 3"


def test_a_young_run_that_is_worse_than_knowing_nothing_is_in_trouble() -> None:
    guard = Guard()
    assert guard.trouble(7.6, 2.0) is None
    for _ in range(IN_A_ROW):
        assert guard.trouble(99.0, 200.0) == "the loss rises to 99 from 7.6"
    assert guard.must_rewind


def test_trouble_before_anything_good_stops_at_once() -> None:
    guard = Guard()
    guard.trouble(math.nan, 1.0)
    assert guard.must_stop


def test_going_back_reads_other_data_at_half_the_rate_and_happens_three_times() -> None:
    guard = seasoned()
    saved = guard.state()
    for rewinds in (1, 2, 3):
        for _ in range(IN_A_ROW):
            assert not guard.must_rewind
            guard.trouble(math.nan, 1.0)
        assert guard.must_rewind
        assert not guard.must_stop
        guard = guard.rewound(saved, steps=12)
        assert (guard.rewinds, guard.rate, guard.passed_over) == (rewinds, 0.5**rewinds, 12 * rewinds)
        assert guard.losses == saved["losses"]
    for _ in range(IN_A_ROW):
        guard.trouble(math.nan, 1.0)
    assert guard.must_stop


def test_half_a_nat_and_six_deviations_are_a_hard_batch_and_more_is_a_leap() -> None:
    even = Guard(losses=[3.0] * 64)
    assert even.trouble(3.5, 1.0) is None
    assert even.trouble(3.51, 1.0) == "the loss leaps to 3.51 from 3"
    # Half of the losses lie 0.25 from their median: 6 x 1.4826 x 0.25 = 2.2239.
    uneven = [2.75, 3.25] * 32
    assert Guard(losses=uneven).trouble(5.22, 1.0) is None
    assert Guard(losses=uneven).trouble(5.23, 1.0) == "the loss leaps to 5.23 from 3"


def test_the_last_128_healthy_losses_count_from_the_64th_on() -> None:
    guard = Guard()
    for step in range(200):
        assert guard.trouble(3 - step / 1000, 1.0) is None
    assert guard.losses == [3 - step / 1000 for step in range(72, 200)]
    assert Guard(losses=[3.0] * 63).trouble(6.5, 1.0) is None
    assert Guard(losses=[3.0] * 63).trouble(6.51, 1.0) == "the loss rises to 6.51 from 3"
    assert Guard(losses=[3.0] * 64).trouble(6.5, 1.0) == "the loss leaps to 6.5 from 3"


def test_a_run_begins_without_trouble_and_rests_after_five_steps_in_a_row() -> None:
    assert Guard() == Guard(spikes=True, losses=[], in_a_row=0, rewinds=0, rate=1.0, passed_over=0)
    assert [Guard(in_a_row=steps).must_rewind for steps in (4, 5)] == [False, True]
