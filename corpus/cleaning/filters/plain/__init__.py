"""Measures in plain Python, one module each, found by its being here.

A module has `measure(text) -> float`, and `RULE_TABLE` (rule_sets.py) names it as its file is called. It
sees one text at a time, so it is slower than a compiled measure; in everything else they are alike.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache


@cache
def plain_measures() -> Mapping[str, Callable[[str], float]]:
    """The measures of this package by their names."""
    names = [one.name for one in pkgutil.iter_modules(__path__)]
    return {name: importlib.import_module(f"{__name__}.{name}").measure for name in names}
