"""No value of a recipe is taken for one of another kind: every field of every section is tried."""

import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from flows.recipe import Recipe
from model_code.config.strict import StrictModel

NUMBERS = {
    "integer": [True, "5", 1.5, math.nan, 10**30, -(10**30)],
    "number": [True, "5", math.nan, math.inf],
}
OTHERS = {"boolean": [1, 0, "yes", "true"], "string": [5, True, 1.5]}


def sections(model: Any) -> Iterator[type[BaseModel]]:
    """A section and all those in it, whatever they are wrapped in."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield model
        for field in model.model_fields.values():
            yield from sections(field.annotation)
    for part in get_args(model):
        yield from sections(part)


SECTIONS = sorted(set(sections(Recipe)), key=lambda section: section.__name__)


def test_every_section_is_strict() -> None:
    assert len(SECTIONS) > 25
    assert [section for section in SECTIONS if not issubclass(section, StrictModel)] == []


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_no_field_takes_a_value_of_another_kind(section: type[BaseModel]) -> None:
    for key, schema in section.model_json_schema(by_alias=True)["properties"].items():
        of_one = schema.get("anyOf", [schema])
        types = [one.get("type") for one in of_one if one.get("type") != "null"]
        if len(types) != 1 or "enum" in schema or "const" in schema:
            continue
        [kind] = types
        for wrong in (NUMBERS | OTHERS).get(kind, []):
            with pytest.raises(ValidationError) as error:
                section.model_validate({key: wrong})
            assert key in {fault["loc"][0] for fault in error.value.errors()}, (key, wrong)
