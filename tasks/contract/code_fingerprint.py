"""The fingerprint of a stage's code, one part of its key (`stage.py`): its module and all it imports of ours.

Prefect's own TASK_SOURCE policy sees the text of one function; a change in a helper would go unnoticed.
Here the syntax trees of all modules reached by imports are hashed, so that a helper counts, and comments,
docstrings and layout do not.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROJECT = frozenset({"flows", "tasks", "corpus", "model_code", "expectations", "deploy"})
ROOT = Path(__file__).resolve().parents[2]
# These say things to people and make nothing: rewording a message must not train a model again.
WORDS = frozenset(
    {
        "tasks.contract.console",
        "tasks.tracking.slow_server_messages",
        "tasks.tracking.live_figures",
        "tasks.tracking.search_runs",
        "tasks.contract.errors",
        "corpus.errors",
        "model_code.errors",
        "deploy.errors",
    }
)


def code_fingerprint(modules: Iterable[str]) -> str:
    """The sha256 over the given modules and the project modules that they import, directly or not.

    A package named with a trailing dot ("deploy.") counts with every file in it: for code and templates
    that are copied or run rather than imported.
    """
    essences: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name.endswith("."):
            essences |= {file: _essence(path) for file, path in _package_files(name.rstrip(".")).items()}
        elif name not in essences and name not in WORDS and (path := _source(name)):
            module = _module(path.read_bytes())
            essences[name] = module.essence
            waiting.extend(module.imports)
    digest = hashlib.sha256()
    for name, essence in sorted(essences.items()):
        digest.update(f"{name}\0{essence}\0".encode())
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


def _essence(path: Path) -> str:
    content = path.read_bytes()
    return _module(content).essence if path.suffix == ".py" else hashlib.sha256(content).hexdigest()


class _Module(NamedTuple):
    """The sha256 of what a module does, and the modules that it names in imports."""

    essence: str
    imports: list[str]


@cache
def _module(content: bytes) -> _Module:
    # Kept, since the stages share most of their modules and a parse takes milliseconds.
    tree = ast.parse(content)
    imports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports.append(node.module)
            imports.extend(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return _Module(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports)
