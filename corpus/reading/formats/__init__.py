"""File formats: one module each, found by its being here.

A module says, in tuples of texts,

    SUFFIXES    the formats that it reads by their names in a recipe, each with the ends of its files' names
    LIBRARIES   distributions whose versions decide about the text: with another one files are read again
    META        keys of `meta` that its records bring by themselves

and has `read(entry, options, on_skipped)`, which yields the records of one file as a stream. It is imported
with every recipe, so what takes long to load is imported in its functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Protocol, cast

from corpus.reading.containers import Entry
from corpus.reading.record import Reader
from corpus.reading.skipped import Skipped


class Format(Protocol):
    """A module of this package."""

    SUFFIXES: Mapping[str, tuple[str, ...]]
    LIBRARIES: tuple[str, ...]
    META: tuple[str, ...]
    read: Reader


@cache
def formats() -> Mapping[str, Format]:
    """Every format by its name in a recipe, in the order of their names."""
    modules = (importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    found = {name: cast(Format, module) for module in modules for name in module.SUFFIXES}
    return dict(sorted(found.items()))


def format_of(entry: Entry, stated: str) -> str:
    """The format that the recipe states, or, where that is `auto`, the one of the entry's suffix.

    Raises:
        Skipped: no format has the suffix.
    """
    if stated != "auto":
        return stated
    by_suffix = {end: name for name, one in formats().items() for end in one.SUFFIXES[name]}
    _, dot, suffix = entry.name.lower().rpartition(".")
    if dot + suffix in by_suffix:
        return by_suffix[dot + suffix]
    found = dot + suffix if dot else "no suffix"
    raise Skipped("unsupported type", f"{found}; known are {' '.join(by_suffix)}; or set `format`")


def reader_of(name: str) -> Reader:
    """The function that reads a format."""
    return formats()[name].read


def library_versions() -> str:
    """The versions of all libraries that decide about a text."""
    names = sorted({name for one in formats().values() for name in one.LIBRARIES})
    return " ".join(f"{name} {version(name)}" for name in names)
