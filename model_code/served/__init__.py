"""What a served model does with strings, for each task type: one file a task, by its name.

`export` copies this package beside the ONNX graph, and the same files run in three places: in Triton, in the
version that MLflow loads, and in the checks that both say the same. So they import the standard library,
numpy, tokenizers and onnxruntime alone, and each other by relative names.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHARED = (
    "__init__",
    "beams",
    "chat_template",
    "choosing",
    "collection",
    "conversations",
    "graph",
    "questions",
    "rows",
    "steps",
    "writing",
    "writing_form",
)


def form_of(task: str) -> Any:
    """The class `Form` of a task: made with a folder, it answers questions.

    It has `inputs`, the names of the strings that a question consists of, `parameters`, what a question may
    say besides, `outputs`, type and size of the tensors of an answer, and `reads_whole` where nothing of a
    text is cut. `fault(question)` says what keeps
    a question from being answered; `answers(questions)` gives dictionaries that JSON can hold,
    `tensors(answers)` the same as arrays, and `prediction(answer)` what the metrics of the task read.
    `rows(questions)` are the rows of tokens that the graph is given; `questions(example)` are strings and
    parameters with which an example is asked, and `joined(answers)` its answer from theirs.
    """
    return importlib.import_module(f".{task}", __name__).Form


def predictions(form: Any, examples: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What metrics read of the answers to examples, each asked as an endpoint is asked it.

    An example that is no question to an endpoint, as a word with a blank in it is none, is asked itself.
    """
    questions = [form.questions(example) or [example] for example in examples]
    said = iter(form.answers([question for of_one in questions for question in of_one]))
    return [form.prediction(form.joined([next(said) for _ in of_one])) for of_one in questions]


def served_tasks() -> list[str]:
    """The tasks that have a served form."""
    return sorted(path.stem for path in code_files() if path.stem not in SHARED)


def code_files() -> list[Path]:
    """The files of this package."""
    return sorted(path for folder in __path__ for path in Path(folder).glob("*.py"))


def code_in(folder: Path) -> Any:
    """The copy of this package in a folder that `export` wrote, under a name of its own.

    It is loaded as a whole, and no byte code is left in the folder, which is to stay what it is.
    """
    place = folder / "served"
    name = f"served_in_{abs(hash(str(folder.resolve())))}"
    spec = importlib.util.spec_from_file_location(
        name, place / "__init__.py", submodule_search_locations=[str(place)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
        for path in sorted(place.glob("[!_]*.py")):
            importlib.import_module(f"{name}.{path.stem}")
    finally:
        sys.dont_write_bytecode = before
    return module
