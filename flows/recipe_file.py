"""Recipe files: where they are, what is in them, and values put into their places by `--smoke` and `--set`.

YAML is read by the rules of its version 1.2, in files and on the command line alike: `true` and `false` are
the only truth values, so that `on`, `off`, `yes` and Norway's `no` stay words; `010` is ten, `1:30` and
`2026-11-30` are text, and `1e-3` is a number. A key is always the text that stands there.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from tasks.contract.errors import RecipeError

BUILT_IN = Path(__file__).parent / "recipes"
SMOKE_SUFFIX = "-smoke"
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
# The core schema of YAML 1.2 (section 10.3.2), and `<<`, which 1.2 left out and people use.
_PLAIN_VALUES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader (YAML 1.1) with the plain values of 1.2, which also refuses a key given twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if is_key and isinstance(node, yaml.ScalarNode) and node.tag != _MERGE:
            return yaml.ScalarNode(_TEXT, node.value, node.start_mark, node.end_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag != _MERGE:
                key = self.construct_object(key_node, deep=True)
                if key in seen:
                    message = f"the key {key!r} occurs twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
                seen.append(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, 0) if text.startswith(("0x", "0o")) else int(text)


_Loader.yaml_implicit_resolvers = {}  # those of 1.1 are inherited
for _name, (_pattern, _first) in _PLAIN_VALUES.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def built_in_recipes() -> list[str]:
    """The names of the recipes that come with textmill."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def find(reference: str) -> Path:
    """The file of a recipe that is given by path, or by the name of a built-in one.

    Raises:
        RecipeError: there is none.
    """
    path = Path(reference)
    built_in = BUILT_IN / f"{reference}.yaml"
    if path.is_file():
        return path
    if reference in built_in_recipes():
        return built_in
    if path.is_dir():
        raise RecipeError(f"{reference!r} is a folder; name the recipe file in it")
    known = built_in_recipes()
    beside = map(str, path.parent.glob("*.y*ml")) if path.parent.is_dir() else ()
    close = difflib.get_close_matches(reference, [*known, *beside], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise RecipeError(
        f"there is no recipe {reference!r}: neither a file nor one of {', '.join(known)}.{hint}"
    )


def read(path: Path) -> dict[str, Any]:
    """The sections of a recipe file.

    Raises:
        RecipeError: it can't be read, or holds something else; with the line where there is one.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise RecipeError(f"{path}, line {line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # control characters, endless digits, ...
        raise RecipeError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        found = "nothing" if values is None else "a list" if isinstance(values, list) else "one value"
        raise RecipeError(f"{path}: a recipe is a mapping of sections such as `collect:`; this holds {found}")
    return values


def make_small(values: dict[str, Any], path: Path) -> None:
    """Put the smoke section's values in their places, and the recipe apart from the one it is made of.

    Raises:
        RecipeError: there is no such section, or no such place.
    """
    small = values.pop("smoke", None)
    if not small or not isinstance(small, dict):
        raise RecipeError(
            f"{path}: --smoke needs a `smoke` section: values by path, for example pretrain.steps: 20"
        )
    for key, value in small.items():
        put(values, str(key), value, f"{path}: smoke.{key}")
    if isinstance(values.get("name"), str):
        values["name"] += SMOKE_SUFFIX
    if isinstance(values.get("register"), dict):
        values["register"]["model"] = f"{values['register'].get('model')}{SMOKE_SUFFIX}"


def override(values: dict[str, Any], text: str) -> None:
    """Apply `pretrain.steps=200`; what is no YAML after the equals sign is text.

    Raises:
        RecipeError: it is not of this form, or there is no such place.
    """
    key, equals, written = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {text!r}: write it as key=value, for example pretrain.steps=200")
    try:
        value = yaml.load(written, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = written
    put(values, key, value, f"--set {text!r}")


def put(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set the value at a path with dots; `where` says in errors who wants it.

    Raises:
        RecipeError: a part of the path is no section, or no entry of a list.
    """
    *parents, last = key.split(".")
    place: Any = values
    for parent in parents:
        place = _descend(place, parent, where)
    if isinstance(place, list):
        place[_index(place, last, where)] = value
    else:
        place[last] = value


def _descend(place: Any, parent: str, where: str) -> Any:
    is_list = isinstance(place, list)
    if not is_list and place.get(parent) is None:
        place[parent] = {}  # also of a section that is named and left empty
    child = place[_index(place, parent, where)] if is_list else place[parent]
    if not isinstance(child, dict | list):
        raise RecipeError(f"{where}: {parent} is a value, not a section")
    return child


def _index(place: list[Any], text: str, where: str) -> int:
    if text.isdecimal() and int(text) < len(place):
        return int(text)
    raise RecipeError(f"{where}: {text} is not one of the {len(place)} entries, counted from 0")
