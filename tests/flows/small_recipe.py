"""A small recipe that is valid, and what is said about it once it is not."""

from pathlib import Path

import pytest

from flows.recipe import load_recipe
from tasks.contract.errors import RecipeError

SMALL = """\
name: small
questions: [what is this]
collect:
  sources:
    - {kind: files, path: corpus}
examples:
  kind: documents
  task: classification
  columns: {label: topic}
"""


def refusal(path: Path, *overrides: str) -> str:
    """What is said about a recipe that is not valid, without the path that it begins with."""
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path), overrides)
    head, rest = str(error.value)[: len(str(path))], str(error.value)[len(str(path)) :]
    assert head == str(path)
    return rest
