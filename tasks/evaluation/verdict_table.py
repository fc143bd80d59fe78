"""The gate's verdict as people read it: a row for each demand, on pages, and as lines on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.evaluation.gate import INCONCLUSIVE

HEADER = ("", "demand", "actual", "95 % interval", "could show", "met")
MET, UNMET, UNKNOWN = "yes", "no", "can't tell"


def rows(gate: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """What was demanded, what was found between what bounds, which difference could have been found."""
    return [
        (
            demand["name"].replace("_", " "),
            demand["demand"] + (f"; {demand['says']}" if demand.get("says") else ""),
            "unknown" if demand["actual"] is None else demand["actual"],
            _interval(demand),
            _number(demand.get("smallest")),
            _met(demand),
        )
        for demand in gate["demands"]
    ]


def lines(gate: Mapping[str, Any]) -> Iterator[str]:
    """The verdict, and below it the demands in columns, each with what it says under it."""
    live = gate["passed"] and gate["verdict"] == INCONCLUSIVE
    yield str(gate["says"]) + ("; it goes live all the same, as evaluate.in_doubt says" if live else "")
    cells = [
        (
            _met(demand),
            demand["name"].replace("_", " "),
            "unknown" if demand["actual"] is None else f"{demand['actual']:.4g}",
            _interval(demand),
            _number(demand.get("smallest")),
            demand["demand"],
        )
        for demand in gate["demands"]
    ]
    titles = ("met", "what", "actual", "95 % interval", "could show", "demanded")
    widths = [max(len(row[column]) for row in (titles, *cells)) for column in range(len(titles))]
    yield _aligned(titles, widths)
    for row, demand in zip(cells, gate["demands"], strict=True):
        yield _aligned(row, widths)
        if demand.get("says"):
            yield f"{'':{widths[0]}}  {demand['says']}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _met(demand: Mapping[str, Any]) -> str:
    return MET if demand["passed"] else UNKNOWN if demand.get("needs") else UNMET


def _interval(demand: Mapping[str, Any]) -> str:
    low, high = demand.get("low"), demand.get("high")
    return "" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
