"""Which trial a version stands."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.trial import TrialFigures
from tasks.deployment.trial_rules import TrialConfig, fault_of_trial

RULES: dict[str, Any] = {"requests": 100, "most_different": 0.1}


def seen(compared: int, **other: Any) -> TrialFigures:
    return TrialFigures(compared=compared, live_ms=2.0, **{"new_ms": 2.5, **other})


@pytest.mark.parametrize(
    ("figures", "fault"),
    [
        (seen(100), None),
        (seen(100, different=10), None),
        (seen(100, different=11), "answered 11 of 100 requests otherwise"),
        (seen(99, failed=1), "failed 1 of 100 requests that the live version answered"),
        (seen(99), "was given 99 requests in 60 minutes and needs 100"),
        (seen(100, new_ms=4.0), None),
        (seen(100, new_ms=4.1), "took 4.1 ms a request in the mean, the live version 2.0 (allowed 2"),
    ],
)
def test_what_a_version_must_not_do_on_trial(figures: TrialFigures, fault: str | None) -> None:
    found = fault_of_trial(figures, TrialConfig(**RULES))
    assert (found or "")[: len(fault or "")] == (fault or "")
    assert (found is None) == (fault is None)
