"""`textmill gate`: the verdict on a registered version once more, against any other; nothing is changed."""

from __future__ import annotations

import sys

from deploy import repository
from flows import environment
from flows.session import prepare
from tasks.contract.console import console
from tasks.contract.errors import RecipeError
from tasks.contract.store import Store
from tasks.evaluation import verdict_table
from tasks.evaluation.judged_again import JudgedAgain, judge_again


def gate(name: str, challenger: str, against: str | None) -> bool:
    """Print the verdict with every demand; whether the version may go live.

    Raises:
        RecipeError: it is no name of a model.
        TextmillError: as `judge_again`.
    """
    if fault := repository.fault_of_name(name):
        raise RecipeError(f"{name!r} is no name of a model: {fault}; `textmill status` lists what is served")
    prepare(["mlflow"])
    found = judge_again(name, challenger, against, Store(environment.home()))
    print(_title(name, found))
    for line in verdict_table.lines(found.gate):
        _print(line)
    return bool(found.gate["passed"])


def _title(name: str, found: JudgedAgain) -> str:
    if found.against is None:
        return f"{name}: version {found.version}, on {found.examples:,} test examples; there is no champion"
    both = f"version {found.version} against version {found.against}"
    return f"{name}: {both} by {found.source}, on {found.examples:,} test examples"


def _print(line: str) -> None:
    """Red, green or yellow is the verdict, where somebody watches."""
    colours = {"promote": "green", "keep": "red", "inconclusive": "yellow"}
    colour = colours.get(line.partition(":")[0])
    if colour and sys.stdout.isatty():
        console.print(line, style=colour, markup=False)
    else:
        print(line)
