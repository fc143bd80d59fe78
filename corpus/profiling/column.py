"""What is in a column: the kind of its values, how many differ, and how long its texts are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from corpus.examples.labels import is_missing
from corpus.examples.printed_lists import list_in
from corpus.profiling.sample import Values

ColumnKind = Literal[
    "text", "whole", "number", "truth", "list", "numbers", "messages", "answers", "other", "empty"
]
"""What most values of a column are; `list` is of texts, `numbers` a list of numbers."""

MOST_DISTINCT = 1000  # values that may be labels
LONGEST_LABEL = 80  # characters of a value that may be one
LONG = 128  # words; the usual `max_length`, in tokens
DEPTH = 3  # of objects in objects

_WHOLE = re.compile(r"[-+]?\d{1,15}")
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
# Kana, Han and Hangul characters count as words: no space parts them, or tokenizers do.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


@dataclass(frozen=True)
class WordCounts:
    """Words of texts: of the shortest and the longest, half and 95 % of them; and the share beyond `LONG`."""

    shortest: int
    median: int
    most: int
    longest: int
    long: float


@dataclass(frozen=True)
class Column:
    """A column, or a key of objects by its path with dots.

    `filled` are rows in which it holds anything, `distinct` the different values. `counts` are rows by
    value, the commonest first; of lists by part. It is empty where there are more than labels would be.
    `lengths` are those of texts, and of lists in parts.
    """

    name: str
    kind: ColumnKind
    filled: int
    distinct: int
    counts: Mapping[str, int]
    lengths: WordCounts | None = None

    @property
    def is_marked(self) -> bool:
        """Whether all values are 0 or 1."""
        return self.kind in ("whole", "truth") and set(self.counts) <= {"0", "1", "true", "false"}


def columns_of(rows: Sequence[Values]) -> list[Column]:
    """The columns of some rows, in the order in which they come up."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in _flat(row, "", DEPTH):
            values.setdefault(name, []).append(value)
    return [_column(name, found) for name, found in values.items()]


def words_in(text: str) -> int:
    """How many words a text has; each character of a script without spaces is one."""
    return len(_WORD.findall(text))


def lengths_of(counts: Sequence[int]) -> WordCounts | None:
    """The lengths of texts with so many words each; None where there is no text."""
    if not counts:
        return None
    ordered = sorted(counts)
    return WordCounts(
        ordered[0],
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        ordered[-1],
        sum(count > LONG for count in ordered) / len(ordered),
    )


def list_of(value: Any) -> list[Any] | None:
    """The list that a value is, also one that is printed in a text; None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{", "("):
        try:
            return list_in(value)
        except ValueError:
            return None
    return value if isinstance(value, list) else None


def is_empty(value: Any) -> bool:
    """Whether there is nothing in a cell: null, NaN, or blanks."""
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _flat(row: Values, before: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The values of a row, those of objects in it by their path."""
    for name, value in row.items():
        if isinstance(value, Mapping) and depth > 1 and not _is_answers(value):
            yield from _flat(value, f"{before}{name}.", depth - 1)
        else:
            yield f"{before}{name}", value


def _column(name: str, values: Sequence[Any]) -> Column:
    filled = [value for value in values if not is_empty(value)]
    kinds = Counter(map(_kind, filled))
    kind = _of_all(kinds)
    counts: Counter[str] = Counter()
    if kind == "list":
        parts = [list_of(value) or [] for value in filled]
        counts.update(str(part) for several in parts for part in several)
        lengths = lengths_of([len(several) for several in parts])
    else:
        written = [_written(value) for value in filled]
        counts.update(written)
        lengths = lengths_of([words_in(text) for text in written]) if kind == "text" else None
    may_be_labels = len(counts) <= MOST_DISTINCT and max(map(len, counts), default=0) <= LONGEST_LABEL
    labels = dict(counts.most_common()) if may_be_labels else {}
    return Column(name, kind, len(filled), len(counts), labels, lengths)


def _of_all(kinds: Mapping[ColumnKind, int]) -> ColumnKind:
    """The kind of a column by those of its values."""
    if not kinds:
        return "empty"
    if len(kinds) == 1:
        return next(iter(kinds))
    if set(kinds) <= {"whole", "number"}:
        return "number"
    # A text may look like a number or a list; nothing else looks like a text.
    return (
        "text"
        if "text" in kinds and set(kinds) <= {"text", "whole", "number", "list", "numbers"}
        else "other"
    )


def _kind(value: Any) -> ColumnKind:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "whole"
    if isinstance(value, float):
        return "whole" if value.is_integer() else "number"
    if _is_answers(value):
        return "answers"
    if (parts := list_of(value)) is not None:
        return _kind_of_list(parts)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in ("true", "false"):
            return "truth"
        return "whole" if _WHOLE.fullmatch(text) else "number" if _NUMBER.fullmatch(text) else "text"
    return "other"


def _kind_of_list(parts: Sequence[Any]) -> ColumnKind:
    if all(isinstance(part, str) for part in parts):
        return "list"
    if all(isinstance(part, int | float) for part in parts):
        return "numbers"
    if all(isinstance(part, Mapping) for part in parts):
        if all("role" in part and "content" in part for part in parts):
            return "messages"
        if all("text" in part for part in parts):
            return "answers"
    return "other"


def _is_answers(value: Any) -> bool:
    """Whether these are answers as `datasets` writes them: a list of texts and one of their places."""
    return isinstance(value, Mapping) and {"text", "answer_start"} <= value.keys()


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
