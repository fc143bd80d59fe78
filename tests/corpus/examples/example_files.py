"""Examples in files, as tests write and read them."""

import json
from pathlib import Path
from typing import Any

from corpus.examples.config import FilesExamples
from corpus.examples.from_files import read_examples
from corpus.examples.splits import Example, Splits

ROWS = [(f"text {number} of {label}", label) for number in range(10) for label in ("good", "bad")]
TSV = "".join(f"{text}\t{label}\n" for text, label in ROWS)
BY_NUMBER: dict[str, Any] = {"header": False, "columns": {"text": 1, "label": 2}}
SENTENCE = "Rome B-LOC\nis O\nold O\n"
CONTEXT = "Rome is old. Rome is large."


def write(folder: Path, **contents: str | bytes) -> None:
    """Write files, each name with `__` for its dot."""
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("__", ".")).write_bytes(data)


def read(task: str, train: Any, **config: Any) -> Splits:
    """The examples that such a section of a recipe gives."""
    return read_examples(FilesExamples(task=task, train=train, **config))


def squad(*answers: dict[str, Any], context: str = CONTEXT) -> str:
    """Five paragraphs, each with one question that has these answers."""
    paragraphs = [
        {
            "context": f"{context} {number}",
            "qas": [{"id": f"q{number}", "question": "What?", "answers": answers}],
        }
        for number in range(5)
    ]
    return json.dumps({"version": "1.1", "data": [{"title": "Rome", "paragraphs": paragraphs}]}, indent=1)


def all_of(task: str, train: Any, **config: Any) -> list[Example]:
    """Every example, sorted by where it comes from."""
    splits = read(task, train, **config).examples.values()
    return sorted((example for split in splits for example in split), key=lambda example: str(example["id"]))
