"""The table holds together, and a recipe's changes reach it or are refused with what there is."""

from typing import get_args

import pytest

from corpus.cleaning.config import FiltersConfig, Language, RuleSet
from corpus.cleaning.filters.rule_sets import ALL, RULE_SETS, STOP_WORDS, rules_of


def test_the_table_has_every_rule_set_and_language_of_the_config() -> None:
    assert set(RULE_SETS) == set(get_args(RuleSet))
    assert set(STOP_WORDS) == set(get_args(Language))


def test_no_rule_stands_in_two_sets() -> None:
    names = [rule.name for rules in RULE_SETS.values() for rule in rules]
    assert len(names) == len(set(names)) == 40


def test_thresholds_are_the_published_ones() -> None:
    rules = {rule.name: rule for rules in RULE_SETS.values() for rule in rules}
    assert rules["gopher_top_2_grams"].threshold("en") == 0.2
    assert rules["gopher_top_2_grams"].threshold("zh") == 0.256
    assert rules["gopher_repeated_10_grams"].threshold("ja") == 0.159
    assert [rules["gopher_few_words"].threshold(language) for language in ("und", "ko", "zh")] == [50, 50, 80]
    assert [rules[name].bound for name in ("gopher_few_words", "gopher_many_words")] == [">=", "<="]


def test_a_change_for_all_holds_for_every_language_that_is_not_changed_itself() -> None:
    [*_, newlines] = rules_of(
        ["fineweb"], {"all": {"fineweb_newlines": 0.9}, "zh": {"fineweb_newlines": 0.5}}
    )
    assert [newlines.threshold(language) for language in ("en", "ja", "zh")] == [0.9, 0.9, 0.5]


def test_a_change_for_one_language_leaves_the_others() -> None:
    [*_, newlines] = rules_of(["fineweb"], {"de": {"fineweb_newlines": 0.9}})
    assert [newlines.threshold(language) for language in ("en", "zh", "de")] == [0.3, 0.178, 0.9]


def test_rules_come_in_the_order_of_the_sets_and_once() -> None:
    sets = [rule.name.split("_")[0] for rule in rules_of(["fineweb", "c4", "fineweb"])]
    assert sets == ["fineweb"] * 4 + ["c4"] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xx": {"symbols": 0.1}}, f"no language 'xx'; there are {ALL}, ar, de"),
        ({"zh": {"symbol": 0.1}}, "zh: no rule 'symbol'; there are too_short, too_long"),
    ],
)
def test_a_change_to_nothing_is_refused_with_the_names_there_are(
    changes: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of(["basic"], changes)
    with pytest.raises(ValueError, match=message):
        FiltersConfig(thresholds=changes)
