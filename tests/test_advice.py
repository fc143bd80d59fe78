"""What our messages advise can be done: keys of a recipe are there, and options of commands."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from flows.recipe import Recipe

FOLDERS = ("flows", "tasks", "corpus", "model_code", "expectations")
ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {field.alias or name: field for name, field in Recipe.model_fields.items()}
KEY = re.compile(rf"(?<![\w./`-])({'|'.join(SECTIONS)})((?:\.[a-z_]+)+)(?![\w(\[])")
# Endings of files and of Python's own names that look like keys.
NO_KEYS = {"json", "py", "yaml", "png", "fn", "npy", "jsonl", "md", "html", "parquet", "log"}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def exists(annotation: Any, path: list[str]) -> bool:
    """Whether a key leads somewhere in a section; below a mapping or a list any does."""
    sections = list(models(annotation))
    if not path or not sections:
        return bool(get_args(annotation)) or not path
    fields = [{f.alias or n: f.annotation for n, f in model.model_fields.items()} for model in sections]
    return any(exists(found[path[0]], path[1:]) for found in fields if path[0] in found)


def test_keys_that_messages_name_exist() -> None:
    named = set()
    for file in (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read_text(encoding="utf-8")):
            if " " in text:  # else it names a module
                named |= {(section, *rest.strip(".").split(".")) for section, rest in KEY.findall(text)}
    named = {path for path in named if path[-1] not in NO_KEYS}
    assert len(named) > 30
    assert [".".join(p) for p in named if not exists(SECTIONS[p[0]].annotation, list(p[1:]))] == []


def written() -> Iterator[str]:
    """The texts of our modules, with X where a value goes, and the documentation."""
    for file in (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        nodes = [*ast.walk(ast.parse(file.read_bytes()))]
        parts = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            elif isinstance(node, ast.Constant) and node not in parts:
                yield str(node.value)
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        yield page.read_text(encoding="utf-8")


def test_downloads_that_are_advised_are_commands_of_the_client_of_the_hub() -> None:
    """An option takes one value: a second would be the name of a file, and what is included be ignored."""
    asked = [Path(sys.executable).with_name("hf"), "download", "--help"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    options = set(re.findall(r"(--[a-z-]+) TEXT", told))
    commands = {one for text in written() for one in re.findall(r"\bhf download ([^`\n]+)", text)}
    assert len(commands) >= 4
    for words in map(shlex.split, commands):
        named = [word for word in words if word.startswith("--")]
        assert set(named) <= options, words
        assert len(words) == 1 + 2 * len(named), words
