"""The fingerprint of a stage's code: its module and every project module it imports.

Prefect's own TASK_SOURCE policy sees the text of one function; a change in a helper would go unnoticed.
Here the syntax trees of all modules reached by imports are hashed, so that a helper counts, and comments,
docstrings and layout do not.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

PROJECT = frozenset({"flows", "tasks", "model_code", "expectations", "deploy"})
ROOT = Path(__file__).resolve().parent.parent
# These say things to people and make nothing: rewording a message must not train a model again.
WORDS = frozenset(
    {"tasks.visible", "tasks.live", "tasks.live_search", "tasks.errors", "model_code.errors", "deploy.errors"}
)


def code_fingerprint(modules: Iterable[str]) -> str:
    """The sha256 over the given modules and the project modules that they import, directly or not.

    A package named with a trailing dot ("deploy.") counts with every file in it: for code and templates
    that are copied or run rather than imported.
    """
    files: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name.endswith("."):
            files |= _package_files(name.rstrip("."))
        elif name not in files and name not in WORDS and (path := _source(name)):
            files[name] = path
            waiting.extend(_imports(ast.parse(path.read_bytes()), name))
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{_essence(path)}\0".encode())
    return digest.hexdigest()


def _package_files(package: str) -> dict[str, Path]:
    source = _source(package)
    if source is None:
        raise ModuleNotFoundError(package)
    return {
        f"{package}:{path.relative_to(source.parent).as_posix()}": path
        for path in source.parent.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _source(module: str) -> Path | None:
    if module.split(".")[0] not in PROJECT:
        return None
    # Looked up by its path: the import system would run the modules above it, torch and all.
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(tree: ast.AST, module: str) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def _essence(path: Path) -> str:
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
