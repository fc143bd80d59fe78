"""The examples to fine-tune with: read, checked, divided, and shown before hours are spent on a model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tasks.artifact import Artifact
from tasks.labelled.config import DocumentsExamples, ExamplesConfig, FilesExamples
from tasks.stage import Workspace, stage

__all__ = [
    "DocumentsExamples",
    "ExampleFiles",
    "ExamplesConfig",
    "FilesExamples",
    "example_files",
    "examples",
]


class ExampleFiles(BaseModel):
    """The files of examples at this moment, the stage's input: sha256 by path."""

    model_config = ConfigDict(frozen=True)

    digests: dict[str, str]


def example_files(config: FilesExamples | DocumentsExamples) -> ExampleFiles | None:
    """Look at the files that the recipe names, so that a changed one makes the stage run anew.

    None for examples made of documents.

    Raises:
        StageError: a file is not there or can't be read.
    """
    raise NotImplementedError


@stage(runs=("model_code.task_types.",))
def examples(
    given: ExampleFiles | None,
    cleaned: Artifact | None,
    tokens: Artifact | None,
    config: FilesExamples | DocumentsExamples,
    workspace: Workspace,
) -> None:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl` (an example per line) and `report.json`.

    `given` is for examples in files, `cleaned` and `tokens` for those made of documents; the others are None.

    Raises:
        StageError: an example is wrong, with its file and line; or the set can't be learnt from.
    """
    raise NotImplementedError
