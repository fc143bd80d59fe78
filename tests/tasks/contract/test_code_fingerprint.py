"""The code fingerprint, on a copy of the project in which one file at a time is changed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.clean import clean
from tasks.collect import collect
from tasks.contract.code_fingerprint import code_fingerprint
from tasks.pretrain import pretrain

ROOT = Path(__file__).parents[3]
STAGES = (collect, clean, pretrain)
WITHOUT_TORCH = """
import sys
from tasks.clean import clean
from tasks.pretrain import pretrain
print(clean.code, pretrain.code, *{"torch", "mlflow", "daft"} & set(sys.modules))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which the fingerprint takes for the project itself."""
    for package in ("tasks", "corpus", "model_code", "deploy", "expectations"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("tasks.contract.code_fingerprint.ROOT", tmp_path)
    return tmp_path


def codes() -> dict[str, str]:
    return {stage.name: code_fingerprint([stage.function.__module__, *stage.runs]) for stage in STAGES}


def moved_by(file: Path, old: str, new: str, before: dict[str, str]) -> set[str]:
    """The stages whose fingerprint moves with this edit, which is then taken back."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    after = codes()
    file.write_text(text, encoding="utf-8")
    return {name for name in after if after[name] != before[name]}


def test_a_change_moves_the_stages_that_reach_it_and_no_other(project: Path) -> None:
    before = codes()
    filters, model = (
        project / "corpus/cleaning/filters/first_failure.py",
        project / "model_code/models/modernbert.py",
    )
    store, errors = project / "tasks/contract/store.py", project / "tasks/contract/errors.py"
    assert moved_by(filters, "\nimport numpy", "\nimport this, numpy", before) == {"clean"}
    assert moved_by(model, "\nfrom ", "\nimport this\nfrom ", before) == {"pretrain"}
    assert moved_by(store, "\nimport os", "\nimport os, this", before) == set(before)
    assert moved_by(errors, "\nclass ", "\nimport this\nclass ", before) == set()


def test_comments_docstrings_and_layout_move_nothing(project: Path) -> None:
    before = codes()
    filters = project / "corpus/cleaning/filters/first_failure.py"
    docstring = filters.read_text(encoding="utf-8").split('"""')[1]
    assert moved_by(filters, docstring, "Said otherwise.", before) == set()
    assert moved_by(filters, "\nimport numpy", "\n\n# a comment\n\nimport numpy", before) == set()


def test_files_that_are_copied_count_too(project: Path) -> None:
    before = code_fingerprint(["deploy."]), code_fingerprint(["deploy.errors"])
    (project / "deploy" / "another.pbtxt").write_text("max_batch_size: 1\n", encoding="utf-8")
    after = code_fingerprint(["deploy."]), code_fingerprint(["deploy.errors"])
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_package_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="deployed"):
        code_fingerprint(["deployed."])


def test_same_in_another_process_without_importing_what_is_read() -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH]
    said = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    assert said.split() == [clean.code, pretrain.code]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The fingerprint of `corpus.main` in a project that has these modules alone."""
    monkeypatch.setattr("tasks.contract.code_fingerprint.ROOT", tmp_path)
    (tmp_path / "corpus").mkdir()

    def code(main: str, **others: str) -> str:
        for name, text in {"main": main, **others}.items():
            (tmp_path / "corpus" / f"{name}.py").write_text(text, encoding="utf-8")
        return code_fingerprint(["corpus.main"])

    return code


@pytest.mark.parametrize("place", ["{}", "class A:\n{}", "def f():\n{}", "async def f():\n{}"])
def test_a_docstring_hides_none_of_what_follows_it(small: Callable[..., str], place: str) -> None:
    def code(*lines: str) -> str:
        indent = "    " if place != "{}" else ""
        return small(place.format("\n".join(indent + line for line in lines)))

    first = code('"""What it does."""', "first = 1", "second = 2")
    assert code('"""Said otherwise."""', "first = 1", "second = 2") == first
    assert code("first = 1", "second = 2") == first
    assert code('"""What it does."""', "first = 0", "second = 2") != first
    assert code('"""What it does."""', "second = 2") != first
    assert code("b'no docstring'", "second = 2") != code("b'neither'", "second = 2")


@pytest.mark.parametrize(
    "line", ["import corpus.helper", "from corpus import helper", "from corpus.helper import a"]
)
def test_a_helper_counts_however_it_is_imported(small: Callable[..., str], line: str) -> None:
    assert small(line, helper="a = 1") != small(line, helper="a = 2")
    assert small("import json", helper="a = 1") == small("import json", helper="a = 2")


def test_a_module_that_is_another_one_s_is_looked_for_nowhere(small: Callable[..., str]) -> None:
    assert small("import xml.corpus, json") != small("import xml.corpus, json.tool")
    assert small("from . import helper", helper="a = 1") == small("from . import helper", helper="a = 2")
