"""What later stages read of the `examples` artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IN_TRAINING = "examples whose input is in training"


def read_split(directory: Path, split: str) -> list[dict[str, Any]]:
    """The examples of one split."""
    with (directory / f"{split}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def task_of(directory: Path) -> str:
    """The task type that the examples are of."""
    task: str = json.loads((directory / "report.json").read_text(encoding="utf-8"))["task"]
    return task


def test_examples_in_training(directory: Path) -> int:
    """How many test examples have the input of a training example."""
    count: int = json.loads((directory / "report.json").read_text(encoding="utf-8"))["remarks"][
        f"test {IN_TRAINING}"
    ]
    return count
