"""Numbers of classes become their names, however they are stored."""

from typing import Any

import pytest

from corpus.reading.class_names import classes_in, with_class_names

FEELING = {"_type": "ClassLabel", "names": ["bad", "good"]}


@pytest.mark.parametrize(
    ("feature", "value", "named"),
    [
        (FEELING, 1, "good"),
        (FEELING, 1.0, "good"),  # of a column that pandas wrote with a gap
        (FEELING, -1, None),
        (FEELING, None, None),
        (FEELING, 0.5, 0.5),
        (FEELING, 2, 2),
        ([FEELING], [1, 0], ["good", "bad"]),
        ({"_type": "Sequence", "feature": FEELING}, [0, None], ["bad", None]),
        ({"_type": "List", "feature": {"x": FEELING}}, [{"x": 1}], [{"x": "good"}]),
        ({"x": FEELING}, {"x": 0, "y": 0}, {"x": "bad", "y": 0}),
    ],
)
def test_a_number_is_a_name(feature: Any, value: Any, named: Any) -> None:
    row = {"label": value, "text": "t"}
    assert with_class_names(row, classes_in({"label": feature})) == {"label": named, "text": "t"}
