"""How a value becomes a label: the one rule, for examples in files and for those made of documents.

A label is a text of one spelling (NFC, no invisible characters, single spaces); whole numbers and truth
values are written as JSON writes them. What may mean two things is refused, never guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from corpus.examples.printed_lists import list_in
from corpus.reading.spelling import spelled

RESPELT = "labels written in another spelling (Unicode form, invisible characters, unusual blanks)"

# Letters that Cyrillic and Greek share with Latin, and quotes and dashes that word processors put in.
_TWINS = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf"
    "\u2018\u2019\u02bc\u201c\u201d\u2010\u2011\u2013\u2014\u2212",
    "ABEKMHOPCTXaeopcyxijsABEZHIKMNOPTYXo'''\"\"-----",
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# A bracket and a quote: a piece of a printed list that was cut off or parted in the wrong places.
_OF_A_LIST = re.compile(r"""["']?[\[({]\s*["'].*|.*["']\s*[\])}]["']?""")
_HARDLY_VISIBLE = re.compile("[\u034f\u200c\u200d\ufe00-\ufe0f]")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
# How libraries print that there is nothing.
_NOTHING = frozenset(["nan", "NaN", "-nan", "<NA>", "NaT", "None", "null", "NULL", "\\N", "#N/A"])
_TRUE, _FALSE = frozenset(["1", "1.0", "true"]), frozenset(["0", "0.0", "false"])


@dataclass
class LabelRule:
    """Labels of values; counts in `remarks` those that it spells otherwise than they are written.

    `names` are what labels are called, by how they are written; empty: as they are written.
    """

    separator: str = ","
    remarks: Counter[str] = field(default_factory=Counter)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = {likeness(written): name for written, name in self.names.items()}

    def one(self, value: Any) -> str:
        """The label of a value.

        Raises:
            ValueError: it is missing, a list, a date, may mean several things, or has no name.
        """
        label = label_of(value)
        if isinstance(value, str) and value.strip(" \t\r\n") != label:
            self.remarks[RESPELT] += 1
        if not self._names:
            return label
        if (name := self._names.get(likeness(label))) is None:
            raise ValueError(
                f"holds {label!r}, which label_names does not name; it names {', '.join(self.names)[:200]}"
            )
        return name

    def several(self, value: Any) -> list[str]:
        """The labels of a list, of a list that is printed in a text, or between separators; sorted.

        Raises:
            ValueError: one of them is no label, or it is a vector of zeros and ones.
        """
        parts = value
        if isinstance(value, str) and (parts := list_in(value)) is None:
            if len(value.strip()) > 1 and (value.strip()[0] in "[{" or value.strip()[-1] in "]}"):
                raise ValueError(f"holds {value[:60]!r}, a list of which a part is missing; write it whole")
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


def likeness(label: str) -> str:
    """Equal for labels that differ by joiners or twins alone, as `2` and `2.0`, or as `True` and `true`."""
    seen = _HARDLY_VISIBLE.sub("", label).translate(_TWINS)
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
    if _CONTROL.search(label):
        raise ValueError(f"holds {label!r}, with a control character; take it out")
    if _DATE.fullmatch(label):
        raise ValueError(f"holds {label!r}, a date and not a label; is examples.columns right?")
    if re.fullmatch(r"""\".*\"|'.+'""", label):
        raise ValueError(
            f"holds {label} with its quotes; quotes stand right beside the delimiter, or nowhere"
        )
    if list_in(label) is not None:
        raise ValueError(f"holds the list {label}, not one label")
    if len(label) > 2 and _OF_A_LIST.fullmatch(label):
        raise ValueError(
            f"holds {label!r}, which looks like a piece of a printed list; write the label alone"
        )
    return label
