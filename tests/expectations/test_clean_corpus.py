"""The demands become rules; a limit that is not set becomes none."""

import pytest
from pydantic import ValidationError

from expectations.clean_corpus import CorpusDemands, suite


def names(demands: CorpusDemands) -> list[str]:
    return [rule.name for rule in suite(demands)]


def test_optional_demands_add_rules() -> None:
    demands = CorpusDemands(languages={"en": 0.5, "zh": 0}, allowed_licenses=("MIT",), max_source_share=0.9)
    added = set(names(demands)) - set(names(CorpusDemands()))
    assert added == {"licenses", "largest_source", "other_languages", "language_en"}


def test_names_are_unique_and_every_rule_has_a_way_out() -> None:
    rules = suite(CorpusDemands(languages={"en": 0.5}, allowed_licenses=("MIT",), max_source_share=0.9))
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.advice and rule.expected for rule in rules)


def test_values_of_the_config_are_quoted() -> None:
    demands = CorpusDemands(allowed_licenses=("it's",))
    assert [rule.failing for rule in suite(demands) if rule.name == "licenses"] == [
        "license NOT IN ('it''s')"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_mojibake_share": 1.5},
        {"min_documents": 0},
        {"max_mojibak": 0.1},
        {"median_characters": (50, 40)},
        {"min_documents": 10, "max_documents": 9},
    ],
)
def test_impossible_demands_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CorpusDemands.model_validate(wrong)
