"""From a row of a file to an example: each field of the task from its column, in the kind that it holds."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.errors import CorpusError
from corpus.examples.answers import answers_in, trimmed, with_position
from corpus.examples.bio_tags import as_bio
from corpus.examples.labels import LabelRule, is_missing
from corpus.examples.printed_lists import list_in
from corpus.examples.spans import span_in
from corpus.examples.splits import Example
from corpus.reading.dotted_paths import value_at
from corpus.reading.rows import Row
from corpus.reading.skipped import Skipped
from corpus.reading.spelling import spelled

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Field

ROLES = ("system", "user", "assistant")
TEXTS = ("text", "said")  # kinds of fields
LABELLED = ("label", "labels", "tags")
TAGS_REWRITTEN = "sentences with tags rewritten as BIO"
ANSWERS_MOVED = "answers moved to where their text stands"
ANSWERS_TRIMMED = "answers without the blanks around them"
PARTS_EMPTY = "texts joined without a column that is empty"
JOINT = "\n"  # between the columns of a text

_PRINTED_MESSAGES = re.compile(r"""\s*\[\s*\{\s*['"](role|content)['"]\s*:""")

# str.split() also parts words at no-break and ideographic spaces, which stand inside them: 10 000.
_BLANKS = re.compile(r"[ \t\r\n]+")


@dataclass
class Fields:
    """The fields of a task and the columns that they are in; counts in `remarks` what it puts right.

    Several columns are joined into a text; labels have one each, that holds 0 or 1. `names` are those of the
    labels, by how they are written. `from_path` is the field that the path of a file tells. `key` is where
    the recipe names the columns.

    Raises:
        CorpusError: a column is named for a field that the task doesn't have, or several for one that is in
            one alone.
    """

    fields: Mapping[str, Field]
    columns: Mapping[str, str | int | Sequence[str | int]]
    separator: str = ","
    remarks: Counter[str] = field(default_factory=Counter)
    names: Mapping[str, str] = field(default_factory=dict)
    from_path: str = ""
    key: str = "columns"

    def __post_init__(self) -> None:
        self.check(self.columns, self.key)
        self.labels = LabelRule(self.separator, self.remarks, self.names)
        if self.names and not any(asked.kind in LABELLED for asked in self.fields.values()):
            raise CorpusError("examples: label_names is for tasks with labels; leave it out")
        for name, column in self.columns.items():
            if isinstance(column, str | int):
                continue
            if self.fields[name].kind not in ("labels", *TEXTS):
                raise CorpusError(
                    f"examples: {self.key} names several columns for {name!r}; a text may be in several, "
                    "which are joined, and labels (multi_label), each with 0 or 1"
                )
            if len(set(map(str, column))) < max(1, len(column)):
                raise CorpusError(
                    f"examples: {self.key} names {list(column)} for {name!r}; name each column once, and "
                    "one at least"
                )

    def check(self, names: Iterable[str], key: str) -> None:
        """Refuse names that are no fields of the task, which a key of the recipe gives.

        Raises:
            CorpusError: there is one.
        """
        if unknown := sorted(set(names) - self.fields.keys()):
            raise CorpusError(
                f"examples: {key} names {unknown[0]!r}, which is no field of the task; its fields are "
                f"{', '.join(self.fields)}"
            )

    @property
    def wanted(self) -> list[str]:
        """The columns that every row has to have."""
        names = [name for name, one in self.fields.items() if one.required and not one.named]
        wanted = {*names, *self.columns} - {self.from_path}
        return [column for name in wanted for column in self.columns_of(name)]

    def columns_of(self, name: str) -> list[str]:
        """The columns that a field is in: those that the recipe names, or one of its own name."""
        named = self.columns.get(name, name)
        return [str(named)] if isinstance(named, str | int) else [str(column) for column in named]

    def example(self, row: Row) -> Example:
        """The example of a row, without an `id`.

        Raises:
            CorpusError: a column is not there, or does not hold what its field is.
        """
        example: Example = {}
        for name, asked in self.fields.items():
            if asked.named and name not in self.columns:
                continue
            columns = self.columns_of(name)
            try:
                if not isinstance(self.columns.get(name, name), str | int):
                    found = {column: self._value(row, name, column) for column in columns}
                    example[name] = (self._joined if self._is_joined(name) else self.labels.marked)(found)
                elif (value := self._value(row, name, columns[0])) is not None:
                    example[name] = _CONVERTERS[asked.kind](value, self.labels)
            except ValueError as error:
                if isinstance(error, CorpusError):
                    raise
                raise row.wrong(f"{name!r} {error}", columns[0]) from error
        self._fit_together(example, row)
        return example

    def _is_joined(self, name: str) -> bool:
        return self.fields[name].kind in TEXTS and not isinstance(self.columns.get(name, name), str | int)

    def _joined(self, parts: Mapping[str, Any]) -> str:
        """The texts of several columns as one; a column may be empty, which is counted, but not all."""
        for column, part in parts.items():
            if not isinstance(part, str) and not is_missing(part):
                raise ValueError(f"holds {type(part).__name__} in the column {column!r}, not text")
        texts = [part for part in parts.values() if not is_missing(part) and spelled(part)]
        self.remarks[PARTS_EMPTY] += len(texts) < len(parts)
        return _text(JOINT.join(texts), self.labels)

    def _value(self, row: Row, name: str, column: str) -> Any:
        """What a column of a field holds; None where a field that may be absent is."""
        needed = self.fields[name].required or name in self.columns
        try:
            value = value_at(row.values, column)
        except Skipped:
            if not needed:
                return None
            several = (
                "; labels in columns of 0 and 1: name them in a list"
                if self.fields[name].kind == "labels"
                else ""
            )
            raise row.wrong(
                f"no column {column!r} for {name}; there are {', '.join(row.values)[:300]}; "
                f"name the right one in examples.{self.key}, or set examples.header{several}"
            ) from None
        if value is None and needed and not self._is_joined(name):
            raise row.wrong(f"{name!r} is null; fill it in or remove the example")
        return value

    def _fit_together(self, example: Example, row: Row) -> None:
        """Tags belong to words, answers to a context, and spans to a text, of which they have their part."""
        kinds = {asked.kind: name for name, asked in self.fields.items() if name in example}
        for name in [name for name in example if self.fields[name].kind == "span"]:
            start, end = (max(0, example[name][border]) for border in ("start", "end"))
            example[name] = {"text": example[kinds["text"]][start:end]} | example[name]
        if "words" in kinds and "tags" in kinds:
            words, tags = example[kinds["words"]], example[kinds["tags"]]
            if len(words) != len(tags):
                raise row.wrong(f"{len(words)} words and {len(tags)} tags; every word has one tag")
            example[kinds["tags"]] = as_bio(tags)
            self.remarks[TAGS_REWRITTEN] += example[kinds["tags"]] != tags
        if "answers" in kinds and "context" in example:
            stated = example[kinds["answers"]]
            bare = [trimmed(answer) for answer in stated]
            try:
                found = [with_position(answer, example["context"]) for answer in bare]
            except ValueError as error:
                raise row.wrong(f"{error}; correct it or take the question out") from error
            example[kinds["answers"]] = found
            self.remarks[ANSWERS_TRIMMED] += sum(a != b for a, b in zip(stated, bare, strict=True))
            self.remarks[ANSWERS_MOVED] += sum(a != b for a, b in zip(bare, found, strict=True))


def _text(value: Any, labels: LabelRule) -> str:
    if not isinstance(value, str):
        raise ValueError(f"holds {type(value).__name__}, not text")
    if not spelled(value[:100]) and not spelled(value):
        raise ValueError("is empty; fill it in or remove the example")
    return value


def _texts(value: Any, labels: LabelRule) -> list[str]:
    """One text, several in a list, or none in an empty cell."""
    if value == "":
        return []
    return [_text(one, labels) for one in value] if isinstance(value, list) else [_text(value, labels)]


def _label(value: Any, labels: LabelRule) -> str:
    return labels.one(value)


def _labels(value: Any, labels: LabelRule) -> list[str]:
    return labels.several(value)


def _words(value: Any, labels: LabelRule) -> list[str]:
    words = _parted(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        held = "numbers" if isinstance(words, list) else type(value).__name__
        raise ValueError(f"holds {held}, not a list of words or a text with spaces")
    if not words or "" in words:
        raise ValueError(
            "has an empty entry; fill it in or take it out" if words else "is empty; remove the example"
        )
    return words


def _parted(text: str) -> list[str]:
    """The words of a text, or of a list of words that is printed in it."""
    try:
        printed = list_in(text)
    except ValueError:
        printed = None  # brackets are words, too
    if printed and all(isinstance(word, str) for word in printed):
        return printed
    return [word for word in _BLANKS.split(text) if word]


def _tags(value: Any, labels: LabelRule) -> list[str]:
    # Numbers are tags where they have names.
    tags = value if labels.names and isinstance(value, list) and value else _words(value, labels)
    return [labels.one(tag) for tag in tags]


def _score(value: Any, labels: LabelRule) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"holds {value!r}, not a number") from None
    if not math.isfinite(score):
        raise ValueError(f"holds {value!r}, not a finite number")
    return score


def _answers(value: Any, labels: LabelRule) -> list[dict[str, Any]]:
    return answers_in(value)


def _messages(value: Any, labels: LabelRule) -> list[dict[str, str]]:
    value = _unprinted(value)
    if not isinstance(value, list) or not value:
        raise ValueError("is no list of messages")
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise ValueError('has a message that is not {"role": …, "content": …}')
        if message.get("role") not in ROLES:
            raise ValueError(f"has a message of role {message.get('role')!r}; roles are {', '.join(ROLES)}")
    return [{"role": message["role"], "content": message["content"]} for message in value]


def _said(value: Any, labels: LabelRule) -> str | list[dict[str, str]]:
    """A text, or messages."""
    value = _unprinted(value)
    return _messages(value, labels) if isinstance(value, list) else _text(value, labels)


def _unprinted(value: Any) -> Any:
    """Messages that are printed as JSON, as in a cell of a table; anything else as it is."""
    if not (isinstance(value, str) and _PRINTED_MESSAGES.match(value)):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(
            "holds messages that are not printed as JSON, so where they end can't be told; write them as "
            "JSON, or the reply alone"
        ) from None


def _span(value: Any, labels: LabelRule) -> dict[str, Any]:
    return span_in(value)


_CONVERTERS: Mapping[str, Callable[[Any, LabelRule], Any]] = {
    "text": _text,
    "texts": _texts,
    "label": _label,
    "labels": _labels,
    "words": _words,
    "tags": _tags,
    "score": _score,
    "answers": _answers,
    "messages": _messages,
    "said": _said,
    "span": _span,
}
