"""What the pages say is what the project does: commands, options, links, keys, variables, figures."""

import ast
import importlib.util
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from flows.cli import app
from flows.recipe import KINDS, Recipe, load_recipe
from tasks.cleaning.config import CleanConfig
from tasks.validate import ValidateConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# What a page may leave out of an example that is a part of a recipe.
AROUND = {"name": "example", "collect": {"sources": [{"kind": "packages"}]}}


def verbs(group: Any, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """The options of every command by its words, those of groups included: ("corpus", "show")."""
    found: dict[tuple[str, ...], set[str]] = {}
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= verbs(command, (*prefix, word))
        else:
            found[*prefix, word] = {option for parameter in command.params for option in parameter.opts}
    return found


COMMANDS = verbs(typer.main.get_command(app))


def verb(words: Sequence[str]) -> tuple[str, ...]:
    """The command at the beginning of these words, which may be one or two of them."""
    first = tuple(words[:1])
    return first if first in COMMANDS else tuple(words[:2])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def command_lines(page: Path) -> list[list[str]]:
    """Every command of the page's shell blocks and of its code spans, as words without the comment."""
    spans = re.findall(r"`((?:make|textmill) [^`\n]+)`", page.read_text(encoding="utf-8"))
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    parts = [part for line in [*lines, *spans] for part in re.split(r" && | \| ", line)]
    return [shlex.split(part, comments=True) for part in parts if part.startswith(("make ", "textmill "))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    targets = {target for rule in targets for target in rule.split()}
    for program, *words in command_lines(page):
        if program == "make":
            assert words[0] in targets, f"{name(page)}: make {words[0]}"
        elif words != ["--help"]:
            asked = verb(words)
            assert asked in COMMANDS, f"{name(page)}: textmill {' '.join(asked)}"
            options = {word for word in words if word.startswith("--")}
            assert options <= COMMANDS[asked], f"{name(page)}: textmill {' '.join(words)}"


def test_the_readme_shows_every_verb() -> None:
    shown = {verb(words[1:]) for words in command_lines(ROOT / "README.md") if words[0] == "textmill"}
    assert shown == set(COMMANDS)


def test_both_readmes_name_every_stage() -> None:
    lifecycle = (ROOT / "flows" / "lifecycle.py").read_text(
        encoding="utf-8"
    )  # importing it would set Prefect up
    stages = sum(map(ast.literal_eval, re.findall(r"^(?:CORPUS|TRAIN|RELEASE) = (.*)$", lifecycle, re.M)), ())
    assert len(stages) == 13
    for page in ("README.md", "docs/README.zh.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [stage for stage in stages if stage not in text] == [], page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.is_file(), f"{name(page)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_figure_is_missing(page: Path) -> None:
    assert re.findall(r"@@\w+@@", page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_recipes_in_pages_are_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "yaml"):
        file = tmp_path / "recipe.yaml"
        missing = {key: value for key, value in AROUND.items() if key not in yaml.safe_load(block)}
        file.write_text(f"{block}\n{yaml.safe_dump(missing) if missing else ''}", encoding="utf-8")
        assert load_recipe(str(file)).collect.sources


def test_the_recipe_page_has_an_example_of_everything() -> None:
    examples = [yaml.safe_load(block) for block in blocks(ROOT / "docs" / "recipes.md", "yaml")]
    sources = [source for example in examples for source in example.get("collect", {}).get("sources", ())]
    assert {source["kind"] for source in sources} == set(KINDS)
    for section, config in (("clean", CleanConfig), ("validate", ValidateConfig)):
        shown = {key for example in examples for key in example.get(section, {})}
        own = {key for key, field in config.model_fields.items() if hasattr(field.annotation, "model_fields")}
        # Repair has one key, and decontamination works without any; the page has both in words.
        assert own - {"repair", "decontaminate"} <= shown, section


def test_the_reference_follows_the_models() -> None:
    spec = importlib.util.spec_from_file_location("recipe_reference", ROOT / "docs" / "recipe_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = module.PAGE.read_text(encoding="utf-8").partition(module.MARKER)[2]
    assert written.strip() == module.reference().strip(), "run docs/recipe_reference.py"


def test_scheduled_runs_have_the_built_in_recipe() -> None:
    [deployment] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert Recipe.model_validate(deployment["parameters"]["recipe"]) == load_recipe(deployment["name"])
    file, function = deployment["entrypoint"].split(":")
    assert re.search(
        rf"\ndef {function}\(\s*recipe: RecipeParameter\b", (ROOT / file).read_text(encoding="utf-8")
    )


def test_the_variables_in_the_readme_are_read() -> None:
    from dataclasses import fields

    from flows.settings import Ports, port_variable

    shown = set(re.findall(r"`(TEXTMILL_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    ports = {port_variable(field.name) for field in fields(Ports)}
    assert shown == ports | {"TEXTMILL_HOME", "TEXTMILL_TRITON_ENV"}
