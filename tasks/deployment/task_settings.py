"""The task of a served folder, as its metrics are told of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_code.task_types.task import Settings, TaskType


def as_served(examples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Examples of what is served of a model: of two replies to one conversation, the one that was chosen."""
    from model_code.task_types.preference import chosen_reply

    return [chosen_reply(example) if "chosen" in example else example for example in examples]


def settings_in(folder: Path) -> tuple[TaskType, Settings]:
    """Task and settings of a folder that `export` wrote."""
    from model_code.task_types.task import Settings, options_of, task_named

    known = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    task = task_named(known["task"])
    options = options_of(task, known["options"])
    return task, Settings(known["task"], tuple(known["labels"]), known["max_length"], options=options)
