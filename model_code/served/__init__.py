"""What a served model does with strings, for each task type: one file a task, by its name.

`export` copies this package beside the ONNX graph, and the same files run in three places: in Triton, in the
version that MLflow loads, and in the checks that both say the same. So they import the standard library,
numpy, tokenizers and onnxruntime alone, and each other by relative names.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

SHARED = ("__init__", "graph", "rows", "writing")


def form_of(task: str) -> Any:
    """The class `Form` of a task: made with a folder, it answers questions.

    It has `inputs`, the names of the strings that a question consists of, `parameters`, what a question may
    say besides, and `outputs`, type and size of the tensors of an answer. `fault(question)` says what keeps
    a question from being answered; `answers(questions)` gives dictionaries that JSON can hold,
    `tensors(answers)` the same as arrays, and `prediction(answer)` what the metrics of the task read.
    `rows(questions)` are the rows of tokens that the graph is given; `questions(example)` are strings and
    parameters with which an example is asked, and `joined(answers)` its answer from theirs.
    """
    return importlib.import_module(f".{task}", __name__).Form


def served_tasks() -> list[str]:
    """The tasks that have a served form."""
    return sorted(path.stem for path in code_files() if path.stem not in SHARED)


def code_files() -> list[Path]:
    """The files of this package."""
    return sorted(path for folder in __path__ for path in Path(folder).glob("*.py"))
