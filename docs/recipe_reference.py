"""Writes docs/reference.md, every key of a recipe, from the pydantic models, so that it can't drift.

    .venv/bin/python docs/recipe_reference.py

A test fails when the page and the models differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expectations.clean_corpus import CleanDemands
from expectations.judgement import Demands
from expectations.raw_corpus import RawDemands
from expectations.tokens import TokenDemands
from flows.recipe import Recipe
from model_code.config.strict import LARGEST

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Reference of recipes

Every key that a recipe may have. How they work together is in [recipes.md](recipes.md). Written by
`docs/recipe_reference.py`.
"""
TITLE = "At the top"
LIMITS = {
    "minimum": "≥ ",
    "exclusiveMinimum": "> ",
    "maximum": "≤ ",
    "exclusiveMaximum": "< ",
    "minItems": "entries ≥ ",
}

Schema = dict[str, Any]


def reference() -> str:
    """One Markdown table per section of a recipe (key, type and limits, default, meaning), one of rules."""
    schema = Recipe.model_json_schema(by_alias=True)
    return "\n".join([*_section(TITLE, schema, schema["$defs"], {}), *_rules()])


def _rules() -> Iterator[str]:
    """The rules of the checkpoints, those included that exist only where a recipe sets their limit."""
    every: list[tuple[str, Demands]] = [
        ("raw", RawDemands(allowed_licenses=("MIT",), allowed_encodings=("utf-8",))),
        ("clean", CleanDemands(allowed_licenses=("MIT",), max_source_share=1, languages={"en": 0.5})),
        ("tokens", TokenDemands()),
    ]
    yield from ["### Rules of validation", "", "| checkpoint | rule | looks at |", "|---|---|---|"]
    for checkpoint, demands in every:
        for rule in demands.rules():
            yield f"| {checkpoint} | `{rule.name}` | {rule.description} |"
    yield ""


def _section(title: str, model: Schema, models: dict[str, Schema], written: dict[str, str]) -> Iterator[str]:
    """The table of a model and those of its sections; `written` says where a model's table is already."""
    rows, below = [], []
    for key, field in model["properties"].items():
        inner = _models(field)
        is_value_too = any(part.get("type", "null") != "null" for part in field.get("anyOf", ()))
        if inner and not is_value_too and written.keys() >= set(inner):
            rows.append(f"| `{key}` | list | `[]` | {_meaning(field)}; entries as in `{written[inner[0]]}` |")
            continue
        for name in (name for name in inner if name not in written):
            kind = models[name]["properties"].get("kind", {}).get("const")
            path = f"{title.partition(',')[0]}.{key}".removeprefix(f"{TITLE}.") + (
                f", kind {kind}" if kind else ""
            )
            written[name] = path.partition(",")[0]
            below += list(_section(path, models[name], models, written))
        if not inner or is_value_too:
            default = _default(key, field, model)
            rows.append(f"| `{key}` | {_type(field)} | {default} | {_meaning(field)} |")
    if rows:
        yield from [f"### {title}", "", "| key | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    yield from below


def _meaning(field: Schema) -> str:
    return str(field.get("description", "")).rstrip(".").replace("|", "\\|")


def _default(key: str, field: Schema, model: Schema) -> str:
    required = key in model.get("required", ())
    return "required" if required else f"`{json.dumps(field.get('default'), ensure_ascii=False)}`"


def _models(field: Schema) -> list[str]:
    """Names of the models that a field's schema refers to, each once."""
    return list(dict.fromkeys(re.findall(r"#/\$defs/(\w+)", json.dumps(field))))


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "section"
    if "anyOf" in field:
        parts = [_type(part) for part in field["anyOf"] if part.get("type") != "null"]
        return " or ".join(["none"] * (len(parts) < len(field["anyOf"])) + parts)
    kind = field.get("type", "value")
    if kind == "array":
        if "prefixItems" in field:
            first = field["prefixItems"][0]
            return f"list of {len(field['prefixItems'])} {first['type']}s{_limits(first)}"
        return f"list of {_type(field['items'])}{_limits(field)}"
    if kind == "object":
        values = field["additionalProperties"]
        return "mapping" if values is True else f"mapping to {_type(values)}"
    return f"{kind}{_limits(field)}"


def _limits(field: Schema) -> str:
    stated = ((sign, field[name]) for name, sign in LIMITS.items() if name in field)
    found = [f"{sign}{limit:,}" for sign, limit in stated if limit != LARGEST]
    if "pattern" in field:
        found.append(f"`{field['pattern']}`")
    return f", {', '.join(found)}" if found else ""


if __name__ == "__main__":
    PAGE.write_text(f"{HEAD}\n{reference()}", encoding="utf-8")
