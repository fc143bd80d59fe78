import pytest

from model_code.training.schedule import warmup_linear, warmup_stable_decay


def test_warm_up_plateau_and_decay() -> None:
    factors = [warmup_stable_decay(step, 100, 0.1, 0.5) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[75] == pytest.approx(0.5)
    assert 0 < factors[-1] == pytest.approx(0.02)


def test_linear_rises_and_falls_without_a_plateau() -> None:
    factors = [warmup_linear(step, 100, 0.2) for step in range(100)]
    assert max(factors) == factors[19] == 1.0
    assert factors[:20] == sorted(factors[:20])
    assert factors[20:] == sorted(factors[20:], reverse=True)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_still_move(total: int) -> None:
    assert all(0 < warmup_linear(step, total, 0.1) <= 1 for step in range(total))
