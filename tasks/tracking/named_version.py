"""The version that a person means: a number or an alias, and what there is where none has it."""

from __future__ import annotations

from typing import Any

from tasks.contract.errors import StageError
from tasks.tracking.registry import ModelVersion, by_alias, by_version


def version_named(versions: Any, name: str, which: str) -> ModelVersion:
    """The version of a model that has this number or alias.

    Raises:
        StageError: there is none; it says which there are.
    """
    is_number = which.isascii() and which.isdecimal()
    found = by_version(versions, name, int(which)) if is_number else by_alias(versions, name, which)
    if found is None:
        what = f"version {which}" if is_number else f"version with the alias {which}"
        raise StageError(f"MLflow has no {what} of {name}; {_there(versions, name)}")
    return found


def _there(versions: Any, name: str) -> str:
    """Which versions of a model there are, or which models, as the rest of a sentence."""
    models = {model.name: model for model in versions.search_registered_models()}
    if name not in models:
        return f"it has the models {', '.join(models)}" if models else "nothing is registered there yet"
    numbers = sorted(int(version.version) for version in versions.search_model_versions(f"name='{name}'"))
    aliases: dict[int, list[str]] = {number: [] for number in numbers}
    for alias, number in models[name].aliases.items():
        aliases.setdefault(int(number), []).append(alias)
    return "there are " + ", ".join(
        f"{number} ({', '.join(sorted(of))})" if of else str(number) for number, of in sorted(aliases.items())
    )
