"""What is wrong in a recipe, in one line each: the key, what was found there, and what is allowed."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

LONGEST_SHOWN = 200
# What pydantic says of a tuple is meant for programmers.
LIST = {"Input should be a valid tuple": "Input should be a list", "Tuple should": "List should"}


def faults(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A line for each key at fault, without keys whose fault only follows from one further in."""
    by_key: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for fault in error.errors():
        by_key.setdefault(tuple(_place(fault["loc"], model)[0]), []).append(fault)
    outer = {key[:depth] for key in by_key for depth in range(len(key))}
    return [_explained(found, model) for key, found in by_key.items() if key not in outer]


def _explained(several: Sequence[Mapping[str, Any]], model: type[BaseModel]) -> str:
    """What is wrong with a key; of a value that may be of several kinds each kind has its say."""
    fault = several[0]
    path, beside, kinds = _place(fault["loc"], model)
    key, found = ".".join(path) or "recipe", fault.get("input")
    said = " or ".join(dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in several))
    said = said.replace(" or Input should be", " or").replace(" after validation, not 0", "")
    for tuple_said, list_said in LIST.items():
        said = said.replace(tuple_said, list_said)
    match fault["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; {_near(path[-1], beside)}"
        case "missing":
            return f"{key}: is missing"
        case "union_tag_not_found":
            return f"{key}.kind: is missing; give one of {', '.join(kinds)}"
        case "union_tag_invalid":
            return f"{key}.kind: found {_shown(fault['input']['kind'])}; give one of {', '.join(kinds)}"
        case "value_error" if isinstance(found, dict):
            return f"{key}: {said}"  # values of the section that don't go together
    return f"{key}: found {_shown(found)}; {said}{_way_out(fault['type'], found)}"


def _near(key: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed here: {', '.join(sorted(allowed))}"


def _shown(value: Any) -> str:
    """A value as a recipe writes it, as far as it helps."""
    if isinstance(value, dict):
        return f"a section with {len(value)} keys"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value)[:LONGEST_SHOWN]


def _way_out(kind: str, found: Any) -> str:
    """How to write what was probably meant, where a value is of another kind."""
    if found is None:
        return "; leave the key out, or give it a value"
    if kind == "string_type" and isinstance(found, bool | int | float):
        return f'; put quotes around a text that looks like something else: "{_shown(found)}"'
    if kind == "tuple_type" and isinstance(found, str | int | float):
        return f", such as [{found}]"
    if kind == "bool_type":
        return "; write true or false"
    if kind in ("int_type", "float_type"):
        return _as_number(found, whole=kind == "int_type")
    return ""


def _as_number(found: Any, *, whole: bool) -> str:
    """The number that a text, or a number with a point, was meant to be."""
    with suppress(TypeError, ValueError, AttributeError):
        number = found if isinstance(found, float) else float(found.replace("_", "").replace(",", ""))
        if math.isfinite(number) and (number.is_integer() or not whole):
            return f"; write {number:.0f}" if number.is_integer() else f"; write {number:g}"
    return ""


def _place(location: Sequence[str | int], model: type[BaseModel]) -> tuple[list[str], list[str], list[str]]:
    """The keys that lead to a fault, those allowed beside the last one, and the kinds of a section.

    pydantic's location also names the kind of a section, and of a value that may be of several types; no file
    holds these.
    """
    path: list[str] = []
    here: Any = model
    beside: list[str] = []
    for part in location:
        choices = {_tag(choice): choice for choice in _choices(here)}
        tag = str(part).partition("[")[0].removeprefix("constrained-")
        if len(choices) > 1 and tag in choices:
            here = choices[tag]
            continue
        path.append(str(part))
        fields = _fields(here)
        beside = list(fields)
        here = fields.get(str(part)) if fields else _inner(here)
    return path, beside, [_tag(choice) for choice in _choices(here) if _fields(choice)]


def _choices(annotation: Any) -> list[Any]:
    """The types that a value may have; that it may be absent is none of them."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) in (UnionType, Union):
        return [one for part in get_args(annotation) if part is not type(None) for one in _choices(part)]
    return [annotation]


def _inner(annotation: Any) -> Any:
    """The type of a list's entries or of a mapping's values."""
    inner = [part for one in _choices(annotation) for part in get_args(one) if part is not Ellipsis]
    return inner[-1] if inner else None


def _fields(annotation: Any) -> dict[str, Any]:
    """The keys of a section and their types; empty where it is none, or may be of several kinds."""
    kind, *others = _choices(annotation)
    if others or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def _tag(choice: Any) -> str:
    """How pydantic names one of several types in a location: by the `kind` of a section, else by the type."""
    if isinstance(choice, type) and issubclass(choice, BaseModel):
        return str(choice.model_fields["kind"].default) if "kind" in choice.model_fields else choice.__name__
    return str(getattr(get_origin(choice) or choice, "__name__", choice)).lower()
