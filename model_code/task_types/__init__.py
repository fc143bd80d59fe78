"""Task types: one module each, whose name is the task's; `task.py` says what such a module offers."""

import pkgutil
from pathlib import Path

SHARED = {"task", "texts", "tfidf"}


def task_types() -> list[str]:
    """The names of the task types there are."""
    found = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    return sorted(found - SHARED)
