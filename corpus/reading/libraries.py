"""Which libraries decide about a text: those that its reader imports, and what of ours that imports.

They are found in the code, so that none can be forgotten; another version of one makes files be read again.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).parents[2]
_OURS = "corpus"
# They check what a recipe says, and make no text.
_NO_READERS = {_OURS, "model_code", "pydantic"}


def versions(modules: Iterable[ModuleType]) -> str:
    """The libraries that these modules read with, each with its version, in the order of their names."""
    waiting = [Path(str(module.__file__)) for module in modules]
    seen, names = set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imports(path):
            names.add(name.partition(".")[0])
            ours = _ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith(f"{_OURS}.") and ours.is_file():
                waiting.append(ours)
    return " ".join(sorted(set(map(_stated, names - sys.stdlib_module_names - _NO_READERS))))


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _stated(name: str) -> str:
    """A package's distribution, most often of the same name, and its version."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        # It takes a second.
        found = packages_distributions().get(name, [name])
        return " ".join(f"{distribution} {version(distribution)}" for distribution in sorted(set(found)))
