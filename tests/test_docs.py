"""What the pages say is what the project does: commands, options, links, keys, variables, figures."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from flows.cli import app
from flows.recipe import Recipe, load_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


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
    targets = set(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.M))
    targets = {target for rule in targets for target in rule.split()}
    for program, verb, *arguments in command_lines(page):
        if program == "make":
            assert verb in targets, f"{name(page)}: make {verb}"
        elif verb != "--help":
            assert verb in COMMANDS, f"{name(page)}: textmill {verb}"
            known = {option for parameter in COMMANDS[verb].params for option in parameter.opts}
            options = {argument for argument in arguments if argument.startswith("--")}
            assert options <= known, f"{name(page)}: textmill {verb} {options - known}"


def test_the_readme_shows_every_verb() -> None:
    shown = {words[1] for words in command_lines(ROOT / "README.md") if words[0] == "textmill"}
    assert shown == set(COMMANDS)


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
def test_recipes_in_pages_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        recipe = yaml.safe_load(block)
        assert Recipe.model_validate(recipe).name == recipe["name"]


def test_the_reference_follows_the_models() -> None:
    spec = importlib.util.spec_from_file_location("recipe_reference", ROOT / "docs" / "recipe_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = module.PAGE.read_text(encoding="utf-8").partition(module.MARKER)[2]
    assert written.strip() == module.reference().strip(), "run docs/recipe_reference.py"


def test_scheduled_runs_have_the_built_in_recipe() -> None:
    [deployment] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert Recipe.model_validate(deployment["parameters"]["recipe"]) == load_recipe(deployment["name"])
    file, function = deployment["entrypoint"].split(":")
    assert f"\ndef {function}(recipe: Recipe" in (ROOT / file).read_text()


def test_the_variables_in_the_readme_are_read() -> None:
    from dataclasses import fields

    from flows.settings import Ports, port_variable

    shown = set(re.findall(r"`(TEXTMILL_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    ports = {port_variable(field.name) for field in fields(Ports)}
    assert shown == ports | {"TEXTMILL_HOME", "TEXTMILL_TRITON_ENV"}
