"""Recipe files: YAML's words and numbers are what a person means by them, in files and after `--set`."""

from pathlib import Path
from typing import Any

import pytest

from flows.recipe_file import find, override, read
from tasks.contract.errors import RecipeError

VALUES = [
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("no", "no"),
    ("y", "y"),
    ("N", "N"),
    ("true", True),
    ("False", False),
    ("null", None),
    ("~", None),
    ("1:30", "1:30"),
    ("12:30:45", "12:30:45"),
    ("010", 10),
    ("0o10", 8),
    ("0x1F", 31),
    ("08", 8),
    ("10_000", "10_000"),
    ("2026-11-30", "2026-11-30"),
    ("1e-3", 0.001),
    ("1E5", 100000.0),
    ("-.5", -0.5),
    ("3.", 3.0),
    (".inf", float("inf")),
    ("=", "="),
    ("1.2.3", "1.2.3"),
    ('"1"', "1"),
    ("[no, on]", ["no", "on"]),
    ("{no: 1, 010: x, null: y, 1.0: z}", {"no": 1, "010": "x", "null": "y", "1.0": "z"}),
]


@pytest.mark.parametrize(("written", "meant"), VALUES, ids=[written for written, _ in VALUES])
def test_a_value_means_the_same_in_a_file_and_after_set(written: str, meant: Any, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(f"value: {written}\n", encoding="utf-8")
    given: dict[str, Any] = {}
    override(given, f"value={written}")
    assert repr(read(file)) == repr(given) == repr({"value": meant})  # repr tells 1 from True and 1.0


def test_labels_may_be_called_no(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("aliases:\n  yes: [ja]\n  no: [nein, off]\n  2024: [year]\n", encoding="utf-8")
    assert read(file) == {"aliases": {"yes": ["ja"], "no": ["nein", "off"], "2024": ["year"]}}


def test_a_key_that_is_an_alias_leaves_its_value_alone(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("first: &number 5\nsecond: {*number : x}\n", encoding="utf-8")
    assert read(file) == {"first": 5, "second": {"5": "x"}}


def test_what_is_not_there_is_named_with_what_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickets.yaml").touch()
    (tmp_path / "recipes").mkdir()
    for reference, said in (
        ("recipes", "'recipes' is a folder; name the recipe file in it"),
        ("ticket.yaml", "Did you mean 'tickets.yaml'?"),
        ("pyton-docs", "Did you mean 'python-docs'?"),
        ("../recipes/sst2", "neither a file nor one of"),
    ):
        with pytest.raises(RecipeError) as error:
            find(reference)
        assert said in str(error.value)
