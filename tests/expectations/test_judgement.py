"""Real Great Expectations verdicts, and a page that needs no network."""

import re

import pytest

from expectations.judgement import Rule, judge_figures

RULES = [
    Rule("few", "number of things", minimum=3),
    Rule("many", "share of things", maximum=0.1),
    Rule("between", "median of things", minimum=2, maximum=4),
]


@pytest.mark.parametrize(
    ("figures", "passed"),
    [
        ({"few": 3, "many": 0.1, "between": 4}, [True, True, True]),
        ({"few": 2, "many": 0.1000001, "between": 4.5}, [False, False, False]),
        ({"few": 9, "many": 0.0, "between": 1}, [True, True, False]),
    ],
)
def test_bounds_are_inclusive(figures: dict[str, float], passed: list[bool]) -> None:
    verdicts, _ = judge_figures("test", RULES, figures)
    assert [verdict.passed for verdict in verdicts] == passed
    assert [verdict.observed for verdict in verdicts] == list(figures.values())


def test_a_warning_does_not_stop() -> None:
    verdicts, page = judge_figures("test", RULES, {"few": 1, "many": 1, "between": 3}, warn_only=["few"])
    assert [verdict.stops for verdict in verdicts] == [False, True, False]
    assert "number of things: at least 3 (warns only)" in page


def test_the_page_shows_every_rule_and_fetches_nothing() -> None:
    _, page = judge_figures("test", RULES, {"few": 12345, "many": 0.25, "between": 3})
    for rule in RULES:
        assert f"{rule.description}: {rule.expected}" in page
    assert ">0.25<" in page
    assert ">12345<" in page
    assert page.count("fa-check-circle text-success") == 2
    assert page.count("fa-times text-danger") == 2  # the broken rule, and the whole in the overview
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(|href=\"[^#]", page)
