"""What the pages say is what the project does: commands, options, links, keys, variables, figures."""

import importlib.util
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from corpus.cleaning.config import CleanConfig
from corpus.reading import containers
from corpus.sources import sources
from corpus.sources.files import FilesSource
from corpus.web import crawling, fetching, sitemaps
from deploy import access, client
from deploy.door import bodies, embeddings, settings, unsupported, writing_requests
from deploy.door.bounds import Most
from flows import door_server, login, supervision
from flows.cli import app
from flows.environment import Ports, port_variable
from flows.home import FOLDERS
from flows.recipe import Recipe, load_recipe
from flows.stages import STAGES
from model_code.served import form_of, graph, served_tasks
from tasks.fine_tuning.checks import check_against_task
from tasks.tracking import auth_middleware
from tasks.validate import ValidateConfig

ROOT = Path(__file__).resolve().parents[1]
TASK_TYPES = ROOT / "model_code" / "task_types"
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
    assert shown == set(COMMANDS) - {("find",)}  # a name of `tune` that goes with the next release


def test_both_readmes_name_every_stage() -> None:
    for page in ("README.md", "docs/README.zh.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [stage for stage in STAGES if stage not in text] == [], page


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
        given = yaml.safe_load(block)
        published = given.get("fine_tune", {}).get("start_from")
        around = {"name": "example"} if published else AROUND
        missing = {key: value for key, value in around.items() if key not in given}
        file.write_text(f"{block}\n{yaml.safe_dump(missing) if missing else ''}", encoding="utf-8")
        recipe = load_recipe(str(file))
        assert recipe.start_from if published else recipe.collect
        if recipe.examples and recipe.fine_tune:
            family = None if recipe.start_from else recipe.pretrain and recipe.pretrain.family
            tuning = recipe.fine_tune.model_copy(update={"distill": None})  # there is no such teacher here
            check_against_task(recipe.examples.task, family, tuning, recipe.evaluate.at_least)


def test_the_recipe_page_has_an_example_of_everything() -> None:
    examples = [yaml.safe_load(block) for block in blocks(ROOT / "docs" / "recipes.md", "yaml")]
    shown_sources = [
        source for example in examples for source in example.get("collect", {}).get("sources", ())
    ]
    assert {source["kind"] for source in shown_sources} == set(sources())
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
    written = module.PAGE.read_text(encoding="utf-8").removeprefix(module.HEAD)
    assert written.strip() == module.reference().strip(), "run docs/recipe_reference.py"


def test_scheduled_runs_have_the_built_in_recipe() -> None:
    [deployment] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert Recipe.model_validate(deployment["parameters"]["recipe"]) == load_recipe(deployment["name"])
    [schedule] = deployment["schedules"]
    assert schedule == {"cron": "0 3 * * *", "timezone": "UTC"}
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    file, function = deployment["entrypoint"].split(":")
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"\ndef {function}\(\s*recipe: RecipeParameter\b", source)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_variables_in_pages_are_read(page: Path) -> None:
    ports = {port_variable(field.name) for field in fields(Ports)}
    known = ports | {"TEXTMILL_HOME", "TEXTMILL_TRITON_ENV", login.ON_VARIABLE, login.HOSTS_VARIABLE}
    known |= {settings.KEY_VARIABLE, supervision.SWITCH}
    shown = set(re.findall(r"\bTEXTMILL_[A-Z_]+\b(?!\*)", page.read_text(encoding="utf-8")))
    assert shown <= known, name(page)
    if page.name == "operations.md":
        assert shown == known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_in_pages_are_there(page: Path) -> None:
    """Files of the project that a page names by their whole path; two pages tell of old ones too."""
    if page.name in ("CHANGELOG.md", "decisions.md"):
        return
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|ya?ml))`", page.read_text(encoding="utf-8")))
    packages = {path.name for path in ROOT.iterdir() if path.is_dir()}
    ours = {file for file in named if file.partition("/")[0] in packages}
    assert [file for file in sorted(ours) if not (ROOT / file).is_file()] == []


def test_counts_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(load_recipe("python-docs").questions) == 3
    assert "answer three questions" in readme


def test_the_libraries_for_nvidias_image_are_those_of_the_bundled_server() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for named in re.findall(r"tokenizers==[\d.]+ onnxruntime==[\d.]+", page)[0].split():
        for lock in ("requirements.lock", "requirements-triton.lock"):
            assert named in (ROOT / lock).read_text(encoding="utf-8").splitlines(), lock


def test_names_in_the_guide_are_in_the_code() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = "\n".join(
        file.read_text(encoding="utf-8")
        for package in ("flows", "tasks", "corpus", "expectations")
        for file in (ROOT / package).rglob("*.py")
    )
    names = set(re.findall(r"`(_?[A-Z_]{4,})`", guide))
    assert [constant for constant in sorted(names) if not re.search(rf"^{constant}\b", code, re.M)] == []


def test_every_built_in_recipe_is_named() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    names = {file.stem for file in (ROOT / "flows" / "recipes").glob("*.yaml")}
    assert [recipe for recipe in sorted(names) if f"`{recipe}`" not in page] == []


def test_the_folders_of_a_home_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Collecting")[0]
    assert set(re.findall(r"^\| `(\w+)/", page, re.M)) == FOLDERS


def test_the_ports_in_pages_are_the_defaults() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for field in fields(Ports):
        [row] = re.findall(rf"^\|.*`{port_variable(field.name)}`.*$", text, re.M)
        assert f" {field.default} " in row


def test_bounds_in_pages_are_those_of_the_code() -> None:
    """The bounds of collecting and of questions, each in a row of its own."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "serving.md")]
    page = "\n".join(pages)
    for row, bounds in {
        "a document": (FilesSource.model_fields["max_document_bytes"].default // 10**6,),
        "one file, unpacked": (FilesSource.model_fields["max_file_bytes"].default // 10**9,),
        "what an archive or": (containers.LARGEST_RATIO, containers.SMALL_ENOUGH // 10**6),
        "its redirects; attempts": (fetching.MAX_REDIRECTS, fetching.MAX_ATTEMPTS),
        "waiting that a site": (int(fetching.LONGEST_WAIT), int(fetching.LONGEST_WAIT_IN_SUM)),
        "failures in a row": (fetching.FAILURES_IN_A_ROW,),
        "sitemaps": (crawling.MAX_SITEMAPS, sitemaps.MAX_BYTES // 10**6),
        "questions in a request": (client.MAX_BATCH,),
        "the texts of a request": (client.MAX_REQUEST_BYTES,),
        "tokens in one run": (graph.TOKENS_PER_RUN,),
    }.items():
        [cells] = re.findall(rf"^\| {row}[^|]*\|([^|]*)\|", page, re.M)
        assert [f"{bound:,}" for bound in bounds] == re.findall(r"\d+(?:,\d+)*", cells), row


def test_the_page_about_serving_says_what_every_task_is_asked_and_answers() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    asked, answered = page.split("| task | ")[1:3]
    for table in (asked, answered):
        rows = table.partition("\n\n")[0]
        assert sorted(re.findall(r"^\| `(\w+)` \|", rows, re.M)) == served_tasks()
    for task in served_tasks():
        [_, strings, besides, _, _] = re.findall(rf"^\| `{task}` (\|.*)$", asked, re.M)[0].split("|")
        form = form_of(task)
        if getattr(form, "writes", False):
            table = page.partition("\n## Texts that are written\n")[2].partition("\n\n`prompt`")[0]
            told = [name for row in re.findall(r"^\| ([^|]*) \|", table, re.M) for name in row.split(", ")]
            switches = {"stream", "return_num_input_tokens", "return_num_output_tokens"}
            assert {name.strip("`") for name in told if "`" in name} == {*form.parameters} | switches
        else:
            assert tuple(re.findall(r"`(\w+)`", besides)) == form.parameters
        if task in ("classification", "relations"):
            assert "`text`" in strings
        elif hasattr(form, "inputs"):
            assert tuple(re.findall(r"`(\w+)`", strings)) == form.inputs
        for question in re.findall(rf"^\| `{task}` \| `({{.*?}})` \|", answered, re.M):
            assert set(json.loads(question)) <= set(re.findall(r"`(\w+)`", strings))


def test_the_page_about_security_names_what_demands_a_key() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition("## Triton's key")[2].partition("\n## ")[0]
    assert [group for group in access.RESTRICTED if f"`{group}`" not in section] == []
    header = next(iter(access.grpc_headers("")))
    assert header in section
    assert f'"{access.HEADER}: %s"' in section
    assert f"`{auth_middleware.USER}`" in page


def test_the_page_about_the_door_says_what_is_refused_and_what_is_bounded() -> None:
    page = (ROOT / "docs" / "openai.md").read_text(encoding="utf-8")
    refused = page.partition("## What is refused")[2].partition("\n## ")[0]
    assert [name for name in unsupported.NOT_DONE if f"`{name}`" not in refused] == []
    honoured = page.partition("## What is honoured")[2].partition("\n## ")[0]
    named = (*writing_requests.HOW, *unsupported.WHO_ASKS)
    assert [name for name in named if f"`{name}`" not in honoured] == []
    most = Most()
    for row, numbers in {
        "a request's body": (most.body_bytes, int(most.body_seconds)),
        "brackets": (bodies.MOST_DEPTH,),
        "requests that are answered": (most.at_once, door_server.MOST_CONNECTIONS),
        "messages; texts": (writing_requests.MOST_MESSAGES, embeddings.MOST_TEXTS),
    }.items():
        [cells] = re.findall(rf"^\| {row}[^|]*\|([^|]*)\|", page, re.M)
        assert [f"{number:,}" for number in numbers] == re.findall(r"\d+(?:,\d+)*", cells), row
    assert f"| an answer | {most.seconds:g} s" in page


def test_the_readme_is_short() -> None:
    for page in ("README.md", "docs/README.zh.md"):
        assert (ROOT / page).read_text(encoding="utf-8").count("\n") <= 200, page
