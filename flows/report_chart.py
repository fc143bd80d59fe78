"""The geometry of the report's line charts; the template draws it as inline SVG.

Drawn by hand rather than by a plotting library, so that lines and letters take the page's colours (dark,
light, print) and its font, and equal numbers give equal bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 40, 116, 14, 30
MOST_POINTS = 250
LABEL_HEIGHT = 14

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on an axis and its place in pixels."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnSeries:
    """A drawn series: its SVG path, the pixels of its points, and the label at its end."""

    name: str
    path: str
    dots: list[Point]
    last: str
    label_y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines on a pair of axes, in pixels of a WIDTH x HEIGHT view box."""

    lines: list[DrawnSeries]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def line_chart(series: dict[str, list[Point]]) -> Chart | None:
    """Lay out named series of (x, y) on common axes; None when there is no finite point to draw.

    A series of more than 250 points is drawn as the means of short stretches. The y axis spans the data and
    does not start at zero.
    """
    finite = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    drawn = {name: _thinned(points) for name, points in finite.items() if points}
    if not drawn:
        return None
    x_ticks = _nice_ticks([x for points in drawn.values() for x, _ in points], 5)
    y_ticks = _nice_ticks([y for points in drawn.values() for _, y in points], 5)
    x_end = max(x for points in drawn.values() for x, _ in points)
    x_low, x_high = x_ticks[0], max(x_end, x_ticks[0] + 1)
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(point: Point) -> Point:
        across = (point[0] - x_low) / (x_high - x_low)
        up = (point[1] - y_low) / (y_high - y_low)
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    placed = {name: [place(point) for point in points] for name, points in drawn.items()}
    label_y = _apart({name: points[-1][1] for name, points in placed.items()})
    lines = [
        DrawnSeries(name, _path(points), points, f"{drawn[name][-1][1]:.3g}", label_y[name])
        for name, points in placed.items()
    ]
    return Chart(
        lines,
        [Tick(place((x, y_low))[0], text) for x, text in _named(x_ticks) if x <= x_high],
        [Tick(place((x_low, y))[1], text) for y, text in _named(y_ticks)],
    )


def _thinned(points: list[Point]) -> list[Point]:
    size = math.ceil(len(points) / MOST_POINTS)
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    return [(stretch[-1][0], fmean(y for _, y in stretch)) for stretch in stretches]


def _nice_ticks(values: Sequence[float], about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten that enclose the values."""
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / about))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude * about >= span)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _named(ticks: list[float]) -> list[tuple[float, str]]:
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return [(tick, f"{tick:,.{decimals}f}") for tick in ticks]


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _apart(wanted: dict[str, float]) -> dict[str, float]:
    """Label positions near the wanted ones, far enough from each other to be read."""
    positions: dict[str, float] = {}
    lowest = float(TOP)
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        positions[name] = max(y, lowest)
        lowest = positions[name] + LABEL_HEIGHT
    return positions
