"""Kinds of sources: one module each, found by its being here.

A module has

    CONFIG          what a recipe says of such a source: a frozen pydantic model whose `kind` is a literal; it
                    has a `name`, and `meta_keys` that documents may have in `meta`
    CODE            packages that it reads with and does not import by name ("corpus.reading.formats.")
    place(config)   where on this machine that is: two projects may say `data/` and mean two folders; "" where
                    the config says it all
    items(config, known, watcher)
                    what there is to read, cheaply, sorted by URI, each with a version that changes when its
                    content does; `known` maps the URIs of the last collection to their versions, `watcher` is
                    told what a person wants to know
    read(config, item, on_skip)
                    the documents of one item, in order; `on_skip` is told what is left out
    reader_version()
                    changes when a library that makes text of bytes does

or, where it keeps files of its own, `reader(folder)`, which gives an object with the last three.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from corpus.documents import Document, Item, OnSkip
from corpus.watcher import Watcher
from model_code.config.strict import StrictModel


class SourceReader(Protocol):
    """What reads one kind of source."""

    def items(self, config: Any, known: Mapping[str, str], watcher: Watcher) -> Iterator[Item]:
        """What there is to read."""

    def read(self, config: Any, item: Item, on_skip: OnSkip) -> Iterator[Document]:
        """The documents of one item."""

    def reader_version(self) -> str:
        """The version of the library that reads."""


class Source(Protocol):
    """A module of this package."""

    __name__: str
    CONFIG: type[StrictModel]
    CODE: tuple[str, ...]

    def place(self, config: Any) -> str:
        """Where on this machine the source is."""


@cache
def sources() -> Mapping[str, Source]:
    """Every kind of source by its name in a recipe."""
    modules = (importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    return {module.CONFIG.model_fields["kind"].default: cast(Source, module) for module in modules}


def keeps_files(kind: str) -> bool:
    """Whether a source keeps files of its own from one listing to the next."""
    return hasattr(sources()[kind], "reader")


def reader_of(kind: str, folder: Path) -> SourceReader:
    """What reads a source; `folder` is for the files that it keeps."""
    source: Any = sources()[kind]
    return cast(SourceReader, source.reader(folder) if keeps_files(kind) else source)
