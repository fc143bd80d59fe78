"""The one rule by which a value becomes a label."""

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from corpus.examples.labels import RESPELT, LabelRule, likeness

# Cyrillic es and a Greek omicron among Latin letters, and what word processors make of ' and -.
TWINS = (("c", "\u0441"), ("no", "n\u03bf"), ("women's", "women\u2019s"), ("e-mail", "e\u2011mail"))


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("pos", "pos"),
        (2, "2"),
        (2.0, "2"),
        (Decimal("2.00"), "2"),
        (2.5, "2.5"),
        (True, "true"),
        ("True", "True"),
        (0, "0"),
        (False, "false"),
        ("2.0", "2.0"),
        ("none", "none"),
        ("(other)", "(other)"),
        (":)", ":)"),
        ("')", "')"),
        # One spelling for what looks the same.
        ("cafe\u0301", "caf\u00e9"),
        ("\ufeffspo\u200brt\u00a0news \t", "sport news"),
        ("a\u3000b", "a b"),
        # These joiners are part of a word and of a picture.
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
    ],
)
def test_a_value_is_a_label(value: Any, label: str) -> None:
    assert LabelRule().one(value) == label


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "holds None, not a label"),
        (float("nan"), "holds nan, not a label"),
        (float("inf"), "holds float, not one label"),
        ("", "is empty"),
        ("\u200b \u00a0", "is empty"),
        *((text, "print where there is nothing") for text in ("nan", "NaN", "<NA>", "None", "NULL", "NaT")),
        (["a"], "holds list, not one label"),
        ({"a": 1}, "holds dict, not one label"),
        (b"a", "holds bytes, not one label"),
        (date(2026, 1, 2), "holds date, not one label"),
        *(
            (text, "a date and not a label")
            for text in ("2026-01-02", "2026-01-02 10:00:00", "2026-01-02T10:00Z")
        ),
        ("['a']", "holds the list ['a'], not one label"),
        ('["a", "b"]', "not one label"),
        ("('a', 'b')", "not one label"),
        ('"pos"', "with its quotes"),
        ("np.str_('a')", "a printed object"),
        ("[UNK]", "in brackets but no list"),
        ("'pos'", "with its quotes"),
        ("['a'", "a piece of a printed list"),
        ("\"['a', 'b']\"", "with its quotes"),
        ("a\x00", "with a control character"),
        ("\x1b[1ma", "with a control character"),
    ],
)
def test_what_is_missing_or_ambiguous_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LabelRule().one(value)


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["b", "a"], ["a", "b"]),
        (("a", 2.0), ["2", "a"]),
        ([], []),
        ("", []),
        ("a, b,", ["a", "b"]),
        ("['billing', 'urgent']", ["billing", "urgent"]),
        ('["billing", "urgent"]', ["billing", "urgent"]),
        ("{'it\\'s', \"b, c\"}", ["b, c", "it's"]),
        ("('a',)", ["a"]),
        ("[3, 1]", ["1", "3"]),
        ("[]", []),
        (7, ["7"]),
    ],
)
def test_lists_are_labels_however_they_are_written(value: Any, labels: list[str]) -> None:
    assert LabelRule().several(value) == labels


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("['a' 'b']", "in brackets but no list"),
        ("[0 1 1]", "in brackets but no list"),
        ("[billing, urgent]", "in brackets but no list"),
        ("{billing,urgent}", "in brackets but no list"),
        ("array(['a'], dtype=object)", "a printed object"),
        ("frozenset({'a'})", "a printed object"),
        ('{"a": 1}', "in brackets but no list"),
        ([0, 1, 1], "which may be a 0 or 1 for each label"),
        ("[1, 0]", "which may be a 0 or 1 for each label"),
        ([1.0, 0.0], "which may be a 0 or 1 for each label"),
        (["a", None], "holds None"),
        (["a", ["b"]], "holds list"),
        # Cut off, by a spreadsheet's longest cell or by a display; quoted twice.
        ("['a', 'b", "a list of which a part is missing"),
        ("0, 1]", "a list of which a part is missing"),
        ("\"['a', 'b']\"", "a piece of a printed list"),
        ("'a', 'b'", "with its quotes"),
        ("a,nan", "print where there is nothing"),
        ({"a": 1}, "holds dict"),
    ],
)
def test_lists_that_can_not_be_told_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LabelRule().several(value)


def test_columns_of_zeros_and_ones_are_labels() -> None:
    rule = LabelRule()
    assert rule.marked({"toxic": "1", "insult": "0", "threat": True, "spam": 0.0}) == ["threat", "toxic"]
    for value in ("", "2", None, "yes", 0.5):
        with pytest.raises(ValueError, match="in the column 'toxic', neither 0 nor 1"):
            rule.marked({"toxic": value})


def test_what_is_spelled_otherwise_is_counted() -> None:
    remarks = Counter[str]()
    rule = LabelRule("|", remarks)
    assert rule.several("caf\u00e9 | th\u00e9") == rule.several("cafe\u0301|th\u00e9\u00a0")
    assert remarks == {RESPELT: 2}


def test_likeness() -> None:
    for one, other in (
        ("2", "2.0"),
        ("True", "true"),
        ("a\u200db", "ab"),
        ("\u2764\ufe0f", "\u2764"),
        *TWINS,
    ):
        assert likeness(one) == likeness(other)
    for one, other in (("2", "2.5"), ("v2", "v2.0"), ("Pos", "pos"), ("20", "2.0")):
        assert likeness(one) != likeness(other)
