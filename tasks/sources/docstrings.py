"""Docstrings of one Python file, read through `ast` and never by importing.

A module of its own that needs the standard library only: pool workers start fast.
"""

import ast
import inspect
import warnings
from pathlib import Path
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With)


class Docstring(NamedTuple):
    """`name` is dotted inside the module ("Rolling.mean"), empty for the module itself."""

    name: str
    kind: str
    text: str


def docstrings(path: str) -> list[Docstring] | str:
    """Docstrings of the module, its classes and functions in file order, or why there are none.

    Functions inside functions are left out: nobody can look them up. Definitions under
    `if`, `try` and `with` count, and of several with one name the first that is documented.
    """
    try:
        source = Path(path).read_bytes()
        if b'"""' not in source and b"'''" not in source:
            return []  # a documented file without a triple quote is rare, and parsing is what costs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, path)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"does not parse: {error}"
    found: dict[str, Docstring] = {}
    _collect(tree, "", "module", found)
    return list(found.values())


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
