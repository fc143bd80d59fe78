"""Labels that no column holds: the folder that a file is in, or a part of its path.

    reviews/pos/1.txt, reviews/neg/1.txt        label_from: folder
    polarity/rt-polarity.pos, ….neg             label_from: 'polarity\\.(?P<label>pos|neg)$'

The path begins where the recipe's ends, so where the data lie on a machine is never a label. Every file has a
label; one without is an error and not left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from corpus.errors import CorpusError
from corpus.examples.config import FOLDER, LABEL
from corpus.reading.example_files import File
from corpus.reading.rows import wrong

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Field


def field_from_path(label_from: str, fields: Mapping[str, Field], columns: Mapping[str, object]) -> str:
    """The field of the task that paths tell; "" where the recipe asks for none.

    Raises:
        CorpusError: the task has no such field, or a column is named for it too.
    """
    if not label_from:
        return ""
    names = [name for name, field in fields.items() if field.target and field.kind in ("label", "labels")]
    if not names:
        raise CorpusError("examples: label_from is for tasks with a label for each example; leave it out")
    if names[0] in columns:
        raise CorpusError(f"examples: label_from and columns both name {names[0]!r}; leave one of them out")
    return names[0]


def label_of_path(file: File, label_from: str) -> str:
    """The label of all examples in a file, as its path has it.

    Raises:
        CorpusError: its path says none.
    """
    path = f"{file.path}!{file.member}" if file.member else file.path
    if label_from == FOLDER:
        label = PurePosixPath(file.member or file.path).parent.name
        if not label:
            raise wrong(
                file.uri,
                0,
                "it is in no folder of its own, from which label_from: folder takes the label; move it into "
                "one, take it out, or name the folders by a pattern (reviews/*/*.txt)",
            )
        return label
    match = re.search(label_from, path)
    if match is None or not match[LABEL]:
        raise wrong(
            file.uri,
            0,
            f"examples.label_from {label_from!r} finds no label in {path!r}; correct the expression, or take "
            "the file out",
        )
    return match[LABEL]
