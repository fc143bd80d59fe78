"""What reading examples gives: a training, a validation and a test split of one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corpus.tokenizing.document_splits import SPLITS, Split

__all__ = ["SPLITS", "Example", "Split", "Splits"]

Example = dict[str, Any]
"""`id` and the task's fields; `model_code.task_types.task` says what each holds."""


@dataclass(frozen=True)
class Splits:
    """Examples by split, and the labels of the training examples, sorted.

    `remarks` counts what a person should know and what stops nobody (an example that occurs twice).
    `left_out` says of a label, or of a kind of fault, why it is not here.
    """

    examples: Mapping[Split, list[Example]]
    labels: list[str]
    remarks: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
