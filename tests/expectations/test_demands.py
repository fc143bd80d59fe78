"""The demands of the three checkpoints become rules; a limit that is not set becomes none."""

import pytest
from pydantic import ValidationError

from corpus.cleaning.filters.rule_sets import RULE_SETS
from corpus.documents import SCHEMA
from expectations.clean_corpus import DRIFT, MATERIAL, CleanDemands
from expectations.judgement import Demands
from expectations.raw_corpus import COLUMNS, RawDemands
from expectations.residual_patterns import UNREADABLE_SHARE
from expectations.tokens import TokenDemands


def names(demands: Demands) -> list[str]:
    return [rule.name for rule in demands.rules()]


def test_optional_demands_add_rules() -> None:
    clean = CleanDemands(languages={"en": 0.5, "zh": 0}, allowed_licenses=("MIT",), max_source_share=0.9)
    added = set(names(clean)) - set(names(CleanDemands()))
    assert added == {"licenses", "largest_source", "other_languages", "language_en"}
    raw = RawDemands(allowed_licenses=("MIT",), allowed_encodings=("utf-8",))
    assert set(names(raw)) - set(names(RawDemands())) == {"licenses", "encodings"}


@pytest.mark.parametrize(
    "demands",
    [
        RawDemands(allowed_licenses=("MIT",), allowed_encodings=("utf-8",)),
        CleanDemands(languages={"en": 0.5}, allowed_licenses=("MIT",), max_source_share=0.9),
        TokenDemands(),
    ],
)
def test_names_are_unique_and_every_rule_has_a_way_out(demands: Demands) -> None:
    rules = demands.rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.advice and rule.expected for rule in rules)


def test_drift_warns_unless_the_recipe_says_otherwise() -> None:
    assert CleanDemands().warn_only == (*DRIFT, *MATERIAL)
    assert {*DRIFT, *MATERIAL} <= set(names(CleanDemands(warn_only=())))


def test_a_text_as_short_or_long_as_cleaning_lets_through_is_no_fault() -> None:
    short, long = (
        next(rule for rule in RULE_SETS["basic"] if rule.name == n) for n in ("too_short", "too_long")
    )
    # A Chinese, Japanese or Korean character counts three in `size`.
    assert CleanDemands().min_characters <= min(short.thresholds.values()) / 3
    assert CleanDemands().max_characters >= max(long.thresholds.values())


def test_a_text_as_damaged_as_cleaning_lets_through_is_no_fault() -> None:
    [unreadable] = [rule for rule in RULE_SETS["basic"] if rule.name == "unreadable"]
    assert max(unreadable.thresholds.values()) <= UNREADABLE_SHARE


def test_values_of_the_config_are_quoted() -> None:
    rules = CleanDemands(allowed_licenses=("it's",)).rules()
    assert [rule.failing for rule in rules if rule.name == "licenses"] == ["license NOT IN ('it''s')"]


def test_the_schema_that_is_demanded_is_the_one_that_is_written() -> None:
    assert set(COLUMNS) == set(SCHEMA.names)


@pytest.mark.parametrize(
    ("demands", "wrong"),
    [
        (CleanDemands, {"max_mojibake_share": 1.5}),
        (CleanDemands, {"min_documents": 0}),
        (CleanDemands, {"max_mojibak": 0.1}),
        (CleanDemands, {"median_characters": (50, 40)}),
        (CleanDemands, {"min_documents": 10, "max_documents": 9}),
        (RawDemands, {"warn_only": ["licenses"]}),
        (TokenDemands, {"characters_per_token": (4, 3)}),
    ],
)
def test_impossible_demands_are_refused(demands: type[Demands], wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        demands.model_validate(wrong)
