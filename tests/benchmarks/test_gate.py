"""The invented pairs differ by what they are said to differ, and the tables say what was found."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import gate
from benchmarks.gate import FIGURES, RULES, WENT_UP, measured, plot, promoted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.evaluation.paired_bootstrap.SAMPLES", 200)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("difference", [0.0, -0.02, 0.04])
def test_the_true_difference_is_the_one_that_was_asked_for(name: str, difference: float) -> None:
    figure = FIGURES[name]
    found = measured(figure, *figure.draw(np.random.default_rng(1), 100_000, difference))
    assert found["difference"] == pytest.approx(difference, abs=4 * found["error"])
    assert found["error"] < 0.003


def test_models_of_a_pair_agree_more_often_than_by_chance() -> None:
    _, old, new = FIGURES["right answers"].draw(np.random.default_rng(1), 20_000, 0.0)
    assert np.mean(np.array(old) != np.array(new)) == pytest.approx(2 * 0.8 * 0.2 * 0.3, abs=0.01)


def test_every_rule_says_whether_a_pair_goes_live() -> None:
    better = promoted(FIGURES["right answers"], 1000, 0.15, 0)
    assert better == dict.fromkeys([*RULES, WENT_UP], True)
    assert promoted(FIGURES["right answers"], 1000, -0.15, 0) == dict.fromkeys([*RULES, WENT_UP], False)


def test_the_curves_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = gate.power(2, (50,))
    assert len(curves[50]) == 9
    plot(curves, tmp_path / "power.png")
    assert (tmp_path / "power.png").read_bytes().startswith(b"\x89PNG")
