"""Docstrings of one Python file, read through `ast` and never by importing."""

import ast
import gc
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With)


class Docstring(NamedTuple):
    """`name` is dotted inside the module ("Rolling.mean"), empty for the module itself."""

    name: str
    kind: str
    text: str


def docstrings(source: bytes, path: str = "<source>") -> list[Docstring]:
    """Docstrings of the module, its classes and functions in file order.

    Functions inside functions are left out: nobody can look them up. Definitions under
    `if`, `try` and `with` count, and of several with one name the first that is documented.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: Python can't parse `source`.
    """
    if b'"""' not in source and b"'''" not in source:
        return []  # a documented file without a triple quote is rare, and parsing is what costs
    with warnings.catch_warnings(), _without_collector():
        warnings.simplefilter("ignore")
        found: dict[str, Docstring] = {}
        # No name is given to the tree, so that it is gone when the collector comes back.
        _collect(ast.parse(source, path), "", "module", found)
    return list(found.values())


@contextmanager
def _without_collector() -> Iterator[None]:
    """Syntax trees have no cycles; looking for them would take a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _collect(node: ast.AST, name: str, kind: str, found: dict[str, Docstring]) -> None:
    if kind and name not in found:
        text = _docstring(node)
        if text:
            found[name] = Docstring(name, kind, text)
    if kind == "function":
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            _collect(child, _dotted(name, child.name), "class", found)
        elif isinstance(child, _FUNCTIONS):
            _collect(child, _dotted(name, child.name), "function", found)
        elif isinstance(child, (*_BLOCKS, ast.ExceptHandler)):
            _collect(child, name, "", found)


def _docstring(node: ast.AST) -> str:
    body = getattr(node, "body", None)
    if not body or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return ""
    value = body[0].value.value
    return inspect.cleandoc(value).strip() if isinstance(value, str) else ""


def _dotted(outer: str, name: str) -> str:
    return f"{outer}.{name}" if outer else name
