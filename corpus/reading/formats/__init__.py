"""File formats: one module each, found by its being here.

A module says in SUFFIXES which formats it reads, by their names in a recipe, each with the ends of its files'
names. It has one of these, or both, which read one file as a stream:

    read(entry, options, on_skipped)    the records of a source of documents (record.py)
    rows(entry, options, on_skipped)    records with fields, for examples; `read = documents_of(rows)` makes
                                        documents of them too (rows.py)

A format whose files are no text says IS_TEXT = False, and its reader gets their bytes.

META are the keys of `meta` that its records bring by themselves, where they do. It is imported with every
recipe, so what takes long to load is imported in its functions. Which libraries decide about the text shows
in what is imported (libraries.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from types import ModuleType
from typing import Protocol, cast

from corpus.reading.libraries import versions
from corpus.reading.record import RecordReader
from corpus.reading.rows import RowReader

# Names of formats, each with the ends of its files' names.
Suffixes = Mapping[str, tuple[str, ...]]


class Format(Protocol):
    """A module that reads documents."""

    SUFFIXES: Suffixes
    read: RecordReader


class RowFormat(Protocol):
    """A module that reads records with fields."""

    SUFFIXES: Suffixes
    rows: RowReader


@cache
def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]


def _that_have(function: str) -> dict[str, ModuleType]:
    found = [module for module in _modules() if hasattr(module, function)]
    return dict(sorted((name, module) for module in found for name in module.SUFFIXES))


@cache
def formats() -> Mapping[str, Format]:
    """Every format of documents by its name in a recipe, in the order of their names."""
    return cast(Mapping[str, Format], _that_have("read"))


@cache
def row_formats() -> Mapping[str, RowFormat]:
    """Every format of records with fields by its name in a recipe, in the order of their names."""
    return cast(Mapping[str, RowFormat], _that_have("rows"))


def suffixes_of(known: Mapping[str, Format] | Mapping[str, RowFormat]) -> dict[str, str]:
    """The format of each end of a file's name."""
    return {end: name for name, one in known.items() for end in one.SUFFIXES[name]}


def format_of(name: str, stated: str, known: Mapping[str, Format] | Mapping[str, RowFormat]) -> str | None:
    """The format that the recipe states, or, where that is `auto`, the one of the file's name, if any."""
    return stated if stated != "auto" else suffixes_of(known).get(PurePath(f"x{name}").suffix.lower())


def holds_text(name: str) -> bool:
    """Whether files of such a name, without the suffix of a compression, are text as far as is known."""
    known = format_of(name, "auto", row_formats())
    return known is None or getattr(row_formats()[known], "IS_TEXT", True)


def library_versions() -> str:
    """The versions of all libraries that decide about what is read."""
    return versions(_modules())
