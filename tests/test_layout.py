"""The layout of the code: imports point one way, heavy libraries stay where they belong, files stay short."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each package may import of ours, and which libraries are reserved for some packages.
MAY_IMPORT = {
    "flows": {"flows", "tasks", "corpus", "model_code", "deploy"},
    "tasks": {"tasks", "corpus", "model_code", "expectations", "deploy"},
    "corpus": {"corpus", "model_code"},
    "model_code": {"model_code"},
    "expectations": {"expectations", "model_code"},
    "deploy": {"deploy"},
}
RESERVED = {
    "prefect": {"flows", "tasks"},
    "mlflow": {"tasks"},
    "great_expectations": {"expectations"},
    "optuna": {"tasks"},
}
# What transformers brings along, and pydantic for the settings.
BARE_GPU_MACHINE = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "regex"}
SETTINGS = {"pydantic", "pydantic_core"}
# What files of model_code import besides, inside functions: figures are made where the pipeline runs, and
# adapters, privacy and older tokenizers need their library only where a recipe asks for them.
FIGURES = {"sklearn", "scipy", "seqeval", "sacrebleu", "rouge_score"}
BESIDES = {
    "adapters.py": {"peft", "bitsandbytes"},
    "conversion.py": {"sentencepiece"},
    "onnx_export.py": {"onnx"},
    "onnx_quantization.py": {"onnxruntime"},
    "privacy.py": {"opacus"},
    "private_step.py": {"opacus"},
}
HEAVY = {"torch", "transformers", "prefect", "mlflow", "great_expectations", "datasets", "daft", "sklearn"}
MOST_LINES = 350
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
# Classes and types that several modules have under one name, and why it is one idea in all of them.
ONE_IDEA = {
    "Advance": "tells a progress bar how far something has come; the bar itself is of the stages",
    "Form": "what a model does with strings, for each task: every served task has one by this name",
    "Example": "a labelled example by its fields: corpus makes it, task types read it",
    "Ids": "token ids, in the width that their library has",
    "Integers": "an array of whole numbers",
    "Options": "what a recipe may tell a task type: every task type has one by this name",
    "TritonPythonModel": "the name by which Triton finds a Python model, each in a process of its own",
    "Span": "where something begins and where it ends",
}
WAYS_TO_CODE = ("torch.load", "trust_remote_code", "allow_pickle=True")


def _files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"{package} is not there, and nothing would be looked at"
    return found


@cache
def _imported(file: Path, *, everywhere: bool = True) -> set[str]:
    """The packages that a file imports: anywhere in it, or at its top alone."""
    tree, found = ast.parse(file.read_bytes()), set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    for file in _files(package):
        ours = _imported(file) & MAY_IMPORT.keys()
        assert ours <= MAY_IMPORT[package], f"{file} imports {ours - MAY_IMPORT[package]}"


def _modules(file: Path, known: set[str]) -> Iterator[str]:
    """The modules of ours that a file imports: deferred imports and those for types included."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for package in (*MAY_IMPORT, "benchmarks")
        for file in _files(package)
    }
    imports = {name: set(_modules(file, set(files))) & files.keys() for name, file in files.items()}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None


def _public_types(file: Path) -> set[str]:
    """The classes and the aliases of types at the top of a file, but for those that only it uses."""
    names = set()
    for node in ast.parse(file.read_bytes()).body:
        match node:
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if not name.isupper():  # no constant
                    names.add(name)
    return {name for name in names if name[0].isupper()}


@pytest.mark.parametrize("file", _files("flows"), ids=lambda file: file.stem)
def test_a_file_of_flows_hides_no_package(file: Path) -> None:
    """Prefect's worker loads flows/lifecycle.py with its folder before all others on the path."""
    if not file.stem.startswith("__"):
        assert file.stem not in {*MAY_IMPORT, "benchmarks", "tests"}
        assert importlib.util.find_spec(file.stem) is None


def test_a_name_of_a_class_or_type_means_one_thing() -> None:
    named = Counter(
        name for package in MAY_IMPORT for file in _files(package) for name in _public_types(file)
    )
    shared = {name for name, modules in named.items() if modules > 1}
    assert shared == set(ONE_IDEA), "give the new one a name that says which it is"


@pytest.mark.parametrize("library", RESERVED)
def test_libraries_stay_where_they_belong(library: str) -> None:
    for package in MAY_IMPORT.keys() - RESERVED[library]:
        using = [file for file in _files(package) if library in _imported(file)]
        assert not using, f"{library} is imported in {using}"


def test_the_training_side_runs_on_a_bare_gpu_machine() -> None:
    for file in _files("model_code"):
        allowed = BARE_GPU_MACHINE | {"model_code"} | sys.stdlib_module_names
        allowed |= SETTINGS if file.parent.name == "config" else set()
        if file.parent.name == "served":
            continue  # what travels with a model has a test of its own
        foreign = _imported(file, everywhere=False) - allowed
        assert not foreign, f"{file} imports {foreign}"
        besides = FIGURES if file.parent.name == "task_types" else BESIDES.get(file.name, set())
        foreign = _imported(file) - allowed - besides
        assert not foreign, f"{file} imports {foreign} in a function"


@pytest.mark.parametrize(
    ("folder", "libraries"),
    [
        ("deploy/models", {"numpy", "served", "triton_python_backend_utils"}),
        ("model_code/served", {"jinja2", "numpy", "onnxruntime", "tokenizers"}),
    ],
)
def test_code_that_travels_with_a_model_imports_little_and_nothing_of_ours(
    folder: str, libraries: set[str]
) -> None:
    """Each other they import by relative names, since they are copied."""
    for file in _files(folder):
        assert _imported(file) <= libraries | sys.stdlib_module_names, file


def test_the_command_answers_without_loading_a_heavy_library() -> None:
    code = "import sys, flows.cli; print(*(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, encoding="utf-8"
    )
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks", "tests"])
def test_files_stay_readable(package: str) -> None:
    for file in _files(package):
        assert file.read_text(encoding="utf-8").count("\n") <= MOST_LINES, file


def _text_without_encoding(file: Path) -> Iterator[str]:
    """Calls that read or write text in whatever encoding the locale happens to have."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if "encoding" in keywords or None in keywords:
            continue
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        strings = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        mode = strings[-1] if strings and (called != "open" or len(node.args) > 1) else "r"
        if isinstance(named := keywords.get("mode"), ast.Constant):
            mode = str(named.value)
        opens = name in ("open", "fdopen") and called not in ("os.open", "tarfile.open", "archive.open")
        whole = (name == "read_text" and not node.args) or (name == "write_text" and len(node.args) == 1)
        pipes = name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & keywords.keys()
        if (opens and "b" not in mode) or whole or pipes:
            yield f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}"


def test_mutants_are_made_of_modules_that_exist_and_have_tests_beside_them() -> None:
    """The list is read as text, since its library is not in our environment."""
    body = ast.parse((ROOT / "tests" / "mutants.py").read_bytes()).body
    lists = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
    core = ast.literal_eval(lists["CORE"])
    assert len(set(core)) == len(core)
    for module in map(Path, core):
        assert (ROOT / module).is_file(), module
        assert (ROOT / "tests" / module.parent / f"test_{module.name}").is_file(), module
    equal = tomllib.loads((ROOT / "tests" / "equal_mutants.toml").read_text(encoding="utf-8"))["mutant"]
    assert {entry["module"] for entry in equal} <= set(core)


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks", "tests"])
def test_text_has_an_encoding_whatever_the_locale(package: str) -> None:
    assert not [call for file in _files(package) for call in _text_without_encoding(file)]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nothing_of_ours_reads_a_pickle_or_runs_code_of_a_hub(package: str) -> None:
    for file in _files(package):
        assert not PICKLES & _imported(file), file
        text = file.read_text(encoding="utf-8").replace("trust_remote_code=False", "")
        assert not [way for way in WAYS_TO_CODE if way in text], file
