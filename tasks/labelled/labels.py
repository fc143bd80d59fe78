"""How a value becomes a label: the one rule, for examples in files and for those made of documents.

A label is a text of one spelling (NFC, no invisible characters, single spaces); whole numbers and truth
values are written as JSON writes them. What may mean two things is refused, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tasks.labelled.printed_lists import list_in

RESPELT = "labels written in another spelling (Unicode form, invisible characters, unusual blanks)"

# Marks that never change what a text says; joiners and variation selectors do, in Persian and in emoji.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_HARDLY_VISIBLE = re.compile("[\u034f\u200c\u200d\ufe00-\ufe0f]")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
# How libraries print that there is nothing.
_NOTHING = frozenset(["nan", "NaN", "-nan", "<NA>", "NaT", "None", "null", "NULL", "\\N", "#N/A"])
_TRUE, _FALSE = frozenset(["1", "1.0", "true"]), frozenset(["0", "0.0", "false"])


@dataclass
class LabelRule:
    """Labels of values; counts in `remarks` those that it spells otherwise than they are written."""

    separator: str = ","
    remarks: Counter[str] = field(default_factory=Counter)

    def one(self, value: Any) -> str:
        """The label of a value.

        Raises:
            ValueError: it is missing, a list, a date, or may mean several things.
        """
        label = label_of(value)
        if isinstance(value, str) and value.strip(" \t\r\n") != label:
            self.remarks[RESPELT] += 1
        return label

    def several(self, value: Any) -> list[str]:
        """The labels of a list, of a list that is printed in a text, or between separators; sorted.

        Raises:
            ValueError: one of them is no label, or it is a vector of zeros and ones.
        """
        parts = value
        if isinstance(value, str) and (parts := list_in(value)) is None:
            parts = [part for part in value.split(self.separator) if part.strip()]
        if not isinstance(parts, list | tuple):
            parts = [parts]
        if len(parts) > 1 and all(isinstance(part, int | float) and part in (0, 1) for part in parts):
            raise ValueError(
                f"holds {list(parts)[:20]}, which may be a 0 or 1 for each label or the numbers of labels; "
                "write the labels' names"
            )
        return sorted({self.one(part) for part in parts})

    def marked(self, columns: Mapping[str, Any]) -> list[str]:
        """The names of the columns that hold 1 or true; sorted.

        Raises:
            ValueError: one holds neither that nor 0 or false.
        """
        for name, value in columns.items():
            if str(value).strip().lower() not in _TRUE | _FALSE:
                raise ValueError(f"holds {value!r} in the column {name!r}, neither 0 nor 1")
        return sorted(
            self.one(name) for name, value in columns.items() if str(value).strip().lower() in _TRUE
        )


def label_of(value: Any) -> str:
    """The label of a value.

    Raises:
        ValueError: it is missing, a list, a date, or may mean several things.
    """
    if isinstance(value, str):
        return _label_in(value)
    if is_missing(value):
        raise ValueError(f"holds {value}, not a label")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal) and abs(value) != float("inf"):
        # A gap in a column of whole numbers makes them 1.0 and 2.0.
        return str(int(value) if value == int(value) else value)
    raise ValueError(f"holds {type(value).__name__}, not one label")


def is_missing(value: Any) -> bool:
    """Whether there is nothing: null, or NaN, which some write in its place."""
    return value is None or (isinstance(value, float | Decimal) and value != value)


def spelled(text: str) -> str:
    """The one spelling of a label: NFC, without invisible characters, every run of white space one space."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def likeness(label: str) -> str:
    """Equal for labels that differ by joiners alone, as `2` and `2.0`, or as `True` and `true`."""
    seen = _HARDLY_VISIBLE.sub("", label)
    if whole := _WHOLE.fullmatch(seen):
        return whole[1]
    return seen.lower() if seen.lower() in ("true", "false") else seen


@lru_cache(maxsize=1 << 16)
def _label_in(text: str) -> str:
    label = spelled(text)
    if not label:
        raise ValueError("is empty; every example has a label")
    if label in _NOTHING:
        raise ValueError(
            f"holds {label!r}, which libraries print where there is nothing; remove the example, or give "
            "the label another name if it is one"
        )
    if _DATE.fullmatch(label):
        raise ValueError(f"holds {label!r}, a date and not a label; is examples.columns right?")
    if len(label) > 1 and label[0] == label[-1] == '"':
        raise ValueError(
            f"holds {label} with its quotes; quotes stand right beside the delimiter, or nowhere"
        )
    if list_in(label) is not None:
        raise ValueError(f"holds the list {label}, not one label")
    return label
