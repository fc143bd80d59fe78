"""Plots: real images, the same bytes for the same figures, and no trouble with odd ones."""

import json
from pathlib import Path

import matplotlib
import matplotlib.image
import pytest

from tasks.evaluate import confusion_matrix, most_confused
from tasks.tracking.plots import (
    plot_confusion_matrix,
    plot_loss_curves,
    plot_rates,
    plot_reliability,
    plot_search,
)


def shape(path: Path) -> tuple[int, ...]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return tuple(matplotlib.image.imread(path).shape)


def test_confusion_matrix_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    labels = ["numpy", "pandas", "C++"]
    for name in ("a.png", "b.png"):
        plot_confusion_matrix([[5, 1, 0], [0, 7, 2], [0, 0, 0]], labels, tmp_path / name)
    plot_confusion_matrix([[5, 1, 0], [0, 7, 1], [0, 0, 0]], labels, tmp_path / "c.png")
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != other
    assert shape(tmp_path / "a.png")[2] == 4


def test_reliability_is_a_picture_of_the_bins(tmp_path: Path) -> None:
    bins = [{"from": 0.5, "to": 0.6, "examples": 12, "probability": 0.55, "right": 0.5}]
    for name in ("a.png", "b.png"):
        plot_reliability(bins, tmp_path / name)
    plot_reliability([bins[0] | {"right": 0.9}], tmp_path / "c.png")
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != other


@pytest.mark.parametrize("losses", [[3.0, 2.0, 1.5], [float("nan")], []])
def test_loss_curves_stand_side_by_side(tmp_path: Path, losses: list[float]) -> None:
    points = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    lines = [json.dumps(point) for point in [*points, {"step": 2, "f1": 0.5}]]
    history = tmp_path / "history.jsonl"
    history.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("a.png", "b.png"):
        plot_loss_curves({"pretrain": history, "fine-tune": history}, tmp_path / name)
    plot_loss_curves({"pretrain": history}, tmp_path / "one.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert shape(tmp_path / "a.png")[1] == 2 * shape(tmp_path / "one.png")[1]


def test_search_is_drawn_with_trials_that_ended_early_or_failed(tmp_path: Path) -> None:
    scores = [0.5, 0.4, float("-inf"), 0.7]
    states = ["complete", "pruned", "failed", "complete"]
    for name in ("a.png", "b.png"):
        plot_search(scores, states, {"learning_rate": 0.8, "batch_size": 0.2}, tmp_path / name)
    plot_search(scores, states, {}, tmp_path / "c.png")
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != other
    assert shape(tmp_path / "a.png")[2] == 4


def test_a_range_test_is_drawn_with_the_rate_that_it_suggests(tmp_path: Path) -> None:
    curve = [{"rate": 10.0**power, "loss": abs(power + 3.0)} for power in range(-6, 0)]
    for name, suggested in (("a.png", 1e-4), ("b.png", 1e-4), ("c.png", 1e-2)):
        plot_rates(curve, suggested, tmp_path / name)
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != other
    assert shape(tmp_path / "a.png")[2] == 4


def test_of_many_labels_the_most_confused_are_drawn(tmp_path: Path) -> None:
    labels = [f"label {n}" for n in range(500)]
    truth = labels * 3
    said = ["label 0" if n in (7, 507, 499) else label for n, label in enumerate(truth)]
    shown = most_confused(truth, said, labels)
    assert len(shown) == 40
    assert {"label 0", "label 7", "label 499"} < set(shown)
    matrix = confusion_matrix(truth, said, shown)
    assert matrix[shown.index("label 7")][0] == 2
    plot_confusion_matrix(matrix, shown, tmp_path / "a.png")
    assert max(shape(tmp_path / "a.png")) < 3000


@pytest.mark.parametrize("label", ["$x", "$\\frac$", "看" * 200, "a\nb", "🙂", ""])
def test_labels_are_drawn_as_they_are(tmp_path: Path, label: str) -> None:
    plot_confusion_matrix([[1, 0], [0, 1]], [label, "b"], tmp_path / "a.png")
    assert max(shape(tmp_path / "a.png")) < 1000


def test_a_picture_that_cannot_be_drawn_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot_confusion_matrix([[1, 0]], ["a", "b"], tmp_path / "missing" / "a.png")
    assert "a.png is not drawn" in capsys.readouterr().out
    plot_loss_curves({"pretrain": tmp_path / "no-history.jsonl"}, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_a_persons_own_settings_of_matplotlib_change_nothing(tmp_path: Path) -> None:
    plot_confusion_matrix([[1, 0], [0, 1]], ["a", "b"], tmp_path / "a.png")
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30}):
        plot_confusion_matrix([[1, 0], [0, 1]], ["a", "b"], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
