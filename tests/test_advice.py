"""What our messages advise can be done: every key of a recipe that one names is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from flows.recipe import Recipe

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
    folders = (ROOT / folder for folder in ("flows", "tasks", "corpus", "model_code", "expectations"))
    named = set()
    for file in (file for folder in folders for file in folder.rglob("*.py")):
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read_text(encoding="utf-8")):
            if " " in text:  # else it names a module
                named |= {(section, *rest.strip(".").split(".")) for section, rest in KEY.findall(text)}
    named = {path for path in named if path[-1] not in NO_KEYS}
    assert len(named) > 30
    assert [".".join(p) for p in named if not exists(SECTIONS[p[0]].annotation, list(p[1:]))] == []
