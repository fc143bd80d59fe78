"""Classes by their names: `datasets` stores a label as a number, and its name in the column's features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_class_names(row: Mapping[str, Any], features: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row whose numbers of classes are names; one that the features don't know stays a number.

    Args:
        features: those of `classes_in`, as `Features.to_dict()` writes them.
    """
    if not features:
        return row
    return {name: _named(value, features.get(name)) for name, value in row.items()}


def classes_in(features: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns that hold numbers of classes, at whatever depth."""
    return {name: feature for name, feature in (features or {}).items() if _has_classes(feature)}


def _has_classes(feature: Any) -> bool:
    if isinstance(feature, Mapping):
        return feature.get("_type") == "ClassLabel" or any(map(_has_classes, feature.values()))
    return isinstance(feature, list) and any(map(_has_classes, feature))


def _named(value: Any, feature: Any) -> Any:
    if value is None or not feature:
        return value
    if isinstance(feature, list):
        return [_named(part, feature[0]) for part in value]
    kind = feature.get("_type")
    if kind == "ClassLabel":
        return _name(value, feature.get("names"))
    if kind is None:
        return {name: _named(part, feature.get(name)) for name, part in value.items()}
    inner = feature.get("feature")
    if isinstance(value, list):
        return [_named(part, inner) for part in value]
    if isinstance(value, Mapping) and isinstance(inner, Mapping):  # a sequence of objects, as columns
        return {name: [_named(part, inner.get(name)) for part in parts] for name, parts in value.items()}
    return value


def _name(number: Any, names: list[str] | None) -> Any:
    """The name of a class; None for -1, by which `datasets` says that there is none."""
    if isinstance(number, float) and number.is_integer():  # as pandas writes a column with a gap
        number = int(number)
    if not isinstance(number, int) or names is None or number >= len(names):
        return number
    return names[number] if number >= 0 else None
