"""The geometry of the line charts: ticks that enclose the data, honest thinning, labels that can be read."""

from __future__ import annotations

import math

import pytest

from flows.report_chart import HEIGHT, LABEL_HEIGHT, MOST_POINTS, TOP, line_chart


def test_points_lie_where_the_axes_say() -> None:
    chart = line_chart({"training": [(0, 4.0), (50, 3.0), (100, 2.0)]})
    assert chart is not None
    at = {tick.text: tick.at for tick in chart.x_ticks}
    up = {tick.text: tick.at for tick in chart.y_ticks}
    assert chart.lines[0].dots[0] == (at["0"], up["4.0"])
    assert chart.lines[0].dots[-1] == (at["100"], up["2.0"])
    assert chart.lines[0].dots[1][1] == pytest.approx((up["4.0"] + up["2.0"]) / 2, abs=0.1)
    assert chart.lines[0].path.startswith(f"M{chart.lines[0].dots[0][0]:g} ")


@pytest.mark.parametrize("values", [(0.0312, 0.0377), (2.0, 2.0), (0.0, 0.0), (-3.0, 12_000.0), (1e-7, 3e-7)])
def test_every_value_lies_between_the_outer_ticks(values: tuple[float, float]) -> None:
    chart = line_chart({"loss": [(i, value) for i, value in enumerate(values)]})
    assert chart is not None
    assert all(TOP <= y <= HEIGHT for _, y in chart.lines[0].dots)
    assert len({tick.text for tick in chart.y_ticks}) == len(chart.y_ticks)


def test_long_series_becomes_means_and_ends_at_its_last_step() -> None:
    alternating = [(float(step), 1.0 if step % 2 else 3.0) for step in range(1, 10 * MOST_POINTS + 1)]
    chart = line_chart({"training": alternating})
    assert chart is not None
    assert len(chart.lines[0].dots) == MOST_POINTS
    assert chart.lines[0].last == "2"
    assert chart.lines[0].dots[-1][0] == chart.right


def test_labels_of_close_lines_do_not_overlap() -> None:
    chart = line_chart({"training": [(0, 3.0), (9, 1.0)], "validation": [(0, 3.1), (9, 1.01)]})
    assert chart is not None
    first, second = (line.label_y for line in chart.lines)
    assert abs(first - second) >= LABEL_HEIGHT


def test_values_that_are_not_numbers_are_left_out() -> None:
    chart = line_chart({"training": [(1, math.nan), (2, 2.5), (3, math.inf)], "validation": []})
    assert chart is not None
    assert [len(line.dots) for line in chart.lines] == [1]
    assert line_chart({"training": [(1, math.nan)]}) is None
    assert line_chart({}) is None
