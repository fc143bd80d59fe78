"""Text and labels by dotted paths."""

from datetime import date
from decimal import Decimal

import pytest

from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.skipped import Skipped

SQUAD = {
    "data": [{"paragraphs": [{"context": "one"}, {"context": "two"}]}, {"paragraphs": [{"context": "three"}]}]
}


def test_a_path_leads_through_objects_and_lists() -> None:
    assert text_of({"a": {"b": "text"}}, "a.b") == "text"
    assert text_of({"a.b": "dotted key"}, "a.b") == "dotted key"
    assert text_of({"lines": ["x", "y"]}, "lines") == "x\ny"
    assert text_of(SQUAD, "data.paragraphs.context") == "one\ntwo\nthree"
    assert text_of({"a": None}, "a") == ""


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ({"b": "x"}, "a"),
        ({"a": 7}, "a"),
        ({"a": {"b": "x"}}, "a.c"),
        ({"a": [{"b": "x"}]}, "a.c"),
        ({"a": []}, "a.c"),
    ],
)
def test_what_is_no_text_is_left_out(record: dict[str, object], path: str) -> None:
    with pytest.raises(Skipped):
        text_of(record, path)


def test_meta_leaves_out_what_is_missing() -> None:
    assert meta_of({"n": 3, "label": {"name": "x"}, "none": None}, ["n", "label.name", "none", "gone"]) == {
        "n": 3,
        "label.name": "x",
    }


def test_meta_keeps_what_json_can_hold() -> None:
    record = {
        **{"tags": ("a", 1), "yes": True, "whole": 2.0, "nan": float("nan"), "price": Decimal("2.50")},
        **{"n": Decimal("3.00"), "day": date(2026, 1, 2), "raw": b"caf\xc3\xa9", "of": {"x": [None]}},
    }
    assert meta_of(record, list(record)) == {
        **{"tags": ["a", 1], "yes": True, "whole": 2.0, "price": 2.5, "n": 3},
        **{"day": "2026-01-02", "raw": "café", "of": {"x": [None]}},
    }
