"""The base of what a recipe says: values are taken as they are written, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from model_code.errors import TrainingError

SettingsT = TypeVar("SettingsT", bound=BaseModel)

SCALARS = ("int", "float", "bool")
# Whole numbers that JSON, Arrow and the libraries below carry exactly; fields may set a lower limit.
LARGEST = 2**53 - 1
OUTSIDE_KEY = "outside key"


def _make_strict(schema: Any) -> None:
    """Mark every number and truth value of pydantic's own description of a model, at any depth."""
    if isinstance(schema, dict):
        if schema.get("type") in SCALARS:
            schema["strict"] = True
        if schema.get("type") == "int" and not schema.keys() & {"le", "lt"}:
            schema["le"] = LARGEST
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for part in schema:
            _make_strict(part)


class StrictModel(BaseModel):
    """A frozen model in which `true` is no number, `1` no truth value, `"5"` neither, and numbers are finite.

    pydantic's strict mode would also refuse a list where a tuple is wanted, and YAML and JSON have only
    lists, so the scalars alone are strict. A whole number does for any number; 5.0 is no whole number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic makes of the class, with strict scalars."""
        schema = handler(source)
        _make_strict(schema)
        return schema


class Config(StrictModel):
    """The base of every config in a recipe: unknown keys and values of another kind are refused.

    A field marked as `Annotated[kind, OUTSIDE_KEY]` says how or where work is done and never what comes out:
    it is no part of a stage's key, and a training goes on with another value of it.
    """

    @classmethod
    def outside_key(cls) -> frozenset[str]:
        """The names of the fields that are marked so."""
        return frozenset(name for name, field in cls.model_fields.items() if OUTSIDE_KEY in field.metadata)

    def what_counts(self) -> dict[str, Any]:
        """The values of all other fields, as JSON has them."""
        return self.model_dump(mode="json", exclude=set(self.outside_key()))


def settings_from(kind: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
    """The settings that a job holds.

    Raises TrainingError for keys that are unknown or missing, and for values that the settings refuse.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'config'}: {fault['msg']}" for fault in error.errors()
        ]
        raise TrainingError("; ".join(faults)) from error
