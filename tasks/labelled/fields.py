"""From a row of a file to an example: each field of the task from its column, in the kind that it holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import StageError
from tasks.labelled.answers import answers_in, placed
from tasks.labelled.rows import Row
from tasks.labelled.splits import Example
from tasks.labelled.tags import as_bio
from tasks.sources.fields import value_at
from tasks.sources.left_out import LeftOut

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Field

ROLES = ("system", "user", "assistant")
TAGS_REWRITTEN = "sentences with tags rewritten as BIO"
ANSWERS_MOVED = "answers moved to where their text stands"


@dataclass
class Fields:
    """The fields of a task and the columns that they are in; counts in `remarks` what it puts right.

    Raises:
        StageError: a column is named for a field that the task doesn't have.
    """

    fields: Mapping[str, Field]
    columns: Mapping[str, str | int]
    separator: str = ","
    remarks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.check(self.columns, "columns")

    def check(self, names: Iterable[str], key: str) -> None:
        """Refuse names that are no fields of the task, which a key of the recipe gives.

        Raises:
            StageError: there is one.
        """
        if unknown := sorted(set(names) - self.fields.keys()):
            raise StageError(
                f"examples: {key} names {unknown[0]!r}, which is no field of the task; its fields are "
                f"{', '.join(self.fields)}"
            )

    def column(self, name: str) -> str:
        """The column that a field is in: the one that the recipe names, or one of its own name."""
        return str(self.columns.get(name, name))

    def example(self, row: Row) -> Example:
        """The example of a row, without an `id`.

        Raises:
            StageError: a column is not there, or does not hold what its field is.
        """
        example: Example = {}
        for name, asked in self.fields.items():
            value = self._value(row, name, asked)
            if value is None:
                continue
            try:
                example[name] = _CONVERTERS[asked.kind](value, self.separator)
            except ValueError as error:
                raise row.wrong(f"{name!r} {error}", self.column(name)) from error
        self._fit_together(example, row)
        return example

    def _value(self, row: Row, name: str, asked: Field) -> Any:
        """What the column of a field holds; None where a field that may be absent is."""
        if asked.named and name not in self.columns:
            return None
        try:
            value = value_at(row.values, self.column(name))
        except LeftOut:
            if asked.required or name in self.columns:
                raise row.wrong(
                    f"no column {self.column(name)!r} for {name}; there are {', '.join(row.values)[:300]}; "
                    "name the right one in examples.columns, or set examples.header"
                ) from None
            return None
        if value is None and (asked.required or name in self.columns):
            raise row.wrong(f"{name!r} is null; fill it in or remove the example")
        return value

    def _fit_together(self, example: Example, row: Row) -> None:
        """Tags belong to words, and answers to a context."""
        kinds = {asked.kind: name for name, asked in self.fields.items() if name in example}
        if "words" in kinds and "tags" in kinds:
            words, tags = example[kinds["words"]], example[kinds["tags"]]
            if len(words) != len(tags):
                raise row.wrong(f"{len(words)} words and {len(tags)} tags; every word has one tag")
            example[kinds["tags"]] = as_bio(tags)
            self.remarks[TAGS_REWRITTEN] += example[kinds["tags"]] != tags
        if "answers" in kinds and "context" in example:
            stated = example[kinds["answers"]]
            try:
                found = [placed(answer, example["context"]) for answer in stated]
            except ValueError as error:
                raise row.wrong(f"{error}; correct it or take the question out") from error
            example[kinds["answers"]] = found
            self.remarks[ANSWERS_MOVED] += sum(a != b for a, b in zip(stated, found, strict=True))


def _text(value: Any, separator: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"holds {type(value).__name__}, not text")
    if not value.strip():
        raise ValueError("is empty; fill it in or remove the example")
    return value


def _label(value: Any, separator: str) -> str:
    if isinstance(value, list | Mapping):
        raise ValueError(f"holds {type(value).__name__}, not one label")
    if value is None or value != value:  # NaN, which some write where there is nothing
        raise ValueError(f"holds {value}, not a label")
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # a gap in a column of whole numbers makes them 1.0 and 2.0
    label = str(value).strip()
    if not label:
        raise ValueError("is empty; every example has a label")
    return label


def _labels(value: Any, separator: str) -> list[str]:
    if isinstance(value, str):
        value = value.split(separator)
    parts = value if isinstance(value, list) else [value]
    return sorted({_label(part, separator) for part in parts if str(part).strip()})


def _words(value: Any, separator: str) -> list[str]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"holds {type(value).__name__}, not a list of words or a text with spaces")
    if not words:
        raise ValueError("is empty; remove the example")
    return words


def _score(value: Any, separator: str) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"holds {value!r}, not a number") from None
    if not math.isfinite(score):
        raise ValueError(f"holds {value!r}, not a finite number")
    return score


def _answers(value: Any, separator: str) -> list[dict[str, Any]]:
    return answers_in(value)


def _messages(value: Any, separator: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise ValueError("is no list of messages")
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise ValueError('has a message that is not {"role": …, "content": …}')
        if message.get("role") not in ROLES:
            raise ValueError(f"has a message of role {message.get('role')!r}; roles are {', '.join(ROLES)}")
    return [{"role": message["role"], "content": message["content"]} for message in value]


_CONVERTERS: Mapping[str, Callable[[Any, str], Any]] = {
    "text": _text,
    "label": _label,
    "labels": _labels,
    "words": _words,
    "tags": _words,
    "score": _score,
    "answers": _answers,
    "messages": _messages,
}
