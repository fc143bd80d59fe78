import pytest

from model_code.errors import TrainingError
from model_code.training.schedule import (
    SCHEDULES,
    Schedule,
    cosine,
    linear,
    schedule_named,
    warmup_stable_decay,
)


def test_warm_up_plateau_and_decay() -> None:
    factors = [warmup_stable_decay(step, 100, 0.1, 0.5) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[75] == pytest.approx(0.5)
    assert 0 < factors[-1] == pytest.approx(0.02)


def test_linear_rises_and_falls_without_a_plateau() -> None:
    factors = [linear(step, 100, 0.2) for step in range(100)]
    assert max(factors) == factors[19] == 1.0
    assert factors[:20] == sorted(factors[:20])
    assert factors[20:] == sorted(factors[20:], reverse=True)


def test_a_cosine_is_at_half_its_height_in_the_middle_of_the_decay() -> None:
    factors = [cosine(step, 100, 0.2) for step in range(100)]
    assert max(factors) == factors[19] == 1.0
    assert factors[59] == pytest.approx(0.5, abs=0.02)
    assert factors[20:] == sorted(factors[20:], reverse=True)


@pytest.mark.parametrize("schedule", SCHEDULES.values())
def test_the_last_steps_come_near_the_final_share(schedule: Schedule) -> None:
    assert schedule(999, 1000, 0.1, 0.5, final=0.2) == pytest.approx(0.2, abs=0.005)
    assert all(schedule(step, 1000, 0.1, 0.5, final=0.2) >= 0.2 for step in range(100, 1000))


@pytest.mark.parametrize("schedule", SCHEDULES.values())
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_still_move(schedule: Schedule, total: int) -> None:
    assert all(0 < schedule(step, total, 0.1) <= 1 for step in range(total))


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(TrainingError, match="schedule 'step' is not known; choose one of"):
        schedule_named("step")


def test_every_step_of_short_runs_by_hand() -> None:
    assert [warmup_stable_decay(step, 4, 0.5, 0.5, 0.2) for step in range(4)] == pytest.approx(
        [0.5, 1, 1, 0.6]
    )
    assert [linear(step, 4, 0.25) for step in range(4)] == pytest.approx([1, 1, 2 / 3, 1 / 3])
    assert [linear(step, 4, 0.25, final=0.1) for step in range(4)] == pytest.approx([1, 1, 0.7, 0.4])
    assert [cosine(step, 3, 0) for step in range(3)] == pytest.approx([1, 0.75, 0.25])
    assert [cosine(step, 4, 0.5, final=0.2) for step in range(4)] == pytest.approx([0.5, 1, 0.8, 0.4])


def test_without_another_wish_all_steps_fall_to_nothing() -> None:
    assert [warmup_stable_decay(step, 4, 0) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
