"""Task types: one module each, whose name is the task's; `task.py` says what such a module offers."""

import pkgutil

SHARED = {"baselines", "bootstrap_metrics", "labels", "pairs", "task", "texts", "tfidf", "words"}


def task_types() -> list[str]:
    """The names of the task types there are."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(found - SHARED)
