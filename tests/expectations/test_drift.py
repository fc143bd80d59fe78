"""The stability index against values computed by hand."""

from math import log

import pytest

from expectations.drift import LEAST_SHARE, Profile, drift, stability_index


def test_equal_shares_have_not_moved() -> None:
    assert stability_index({"a": 1, "b": 3}, {"a": 100, "b": 300}) == 0
    assert stability_index({}, {}) == 0


def test_moved_and_vanished_classes() -> None:
    assert stability_index({"a": 50, "b": 50}, {"a": 80, "b": 20}) == pytest.approx(
        (0.5 - 0.8) * log(0.5 / 0.8) + (0.5 - 0.2) * log(0.5 / 0.2)
    )
    gone = stability_index({"a": 1, "b": 1}, {"a": 1})
    assert gone == pytest.approx(0.5 * log(2) + (0.5 - LEAST_SHARE) * log(0.5 / LEAST_SHARE))


def test_the_figures_of_the_rules() -> None:
    before = Profile(kept_share=0.5, lengths={"64": 9}, languages={"en": 9}, sources={"a": 9})
    now = before.model_copy(update={"kept_share": 0.2, "sources": {"b": 9}})
    figures = drift(before, now)
    assert figures["kept_share_drift"] == pytest.approx(0.3)
    assert figures["source_drift"] > 5
    assert (figures["length_drift"], figures["language_drift"]) == (0, 0)
