"""The code fingerprint, on a copy of the project in which one file at a time is changed."""

import shutil
import subprocess
import sys
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
