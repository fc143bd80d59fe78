"""Whether a version that was tried beside the live one may take its place."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from deploy.trial import AnswersOf, Trial, TrialFigures
from model_code.config.strict import Config
from tasks.contract.console import escaped, say


class TrialConfig(Config):
    """How long a new version is tried on requests of clients, and what it must not do."""

    share: float = Field(0.1, gt=0, le=1, description="Of the requests, that it is given too.")
    answers: AnswersOf = Field(
        "new",
        description="Whose answer the client gets of those: the `new` version's (a canary) or the `live` "
        "one's (a shadow).",
    )
    requests: int = Field(200, ge=1, description="That it has to be given.")
    minutes: float = Field(60, gt=0, le=10_080, description="In which they have to come.")
    most_failed: float = Field(0, ge=0, le=1, description="Share that it alone may fail.")
    most_different: float = Field(1, ge=0, le=1, description="Share that it may answer otherwise.")
    most_slower: float = Field(
        2, gt=0, description="Times that the mean of its requests may take of the live version's."
    )


def tried(trial: Trial, config: TrialConfig, name: str) -> tuple[dict[str, Any], str | None]:
    """Wait for the requests; the figures, and what the version did that it must not, in words."""
    who = "canary" if config.answers == "new" else "shadow"
    say(
        escaped(
            f"  {who} of {name}: {config.share:.0%} of its requests, until there are {config.requests}, "
            f"{config.minutes:g} minutes at most"
        )
    )
    figures = trial.wait(config.requests, 60 * config.minutes)
    return {
        "trial requests": figures.requests,
        "trial failed": figures.failed,
        "trial different": figures.different,
    }, fault_of_trial(figures, config)


def fault_of_trial(seen: TrialFigures, config: TrialConfig) -> str | None:
    """The first rule that is broken."""
    if seen.failed > config.most_failed * seen.requests:
        return f"failed {seen.failed} of {seen.requests} requests that the live version answered"
    if seen.requests < config.requests:
        return (
            f"was given {seen.requests} requests in {config.minutes:g} minutes and needs {config.requests}; "
            "raise deploy.trial.share or minutes, or lower requests"
        )
    if seen.different > config.most_different * seen.requests:
        return f"answered {seen.different} of {seen.requests} requests otherwise than the live version"
    if seen.live_ms and seen.new_ms and seen.new_ms > config.most_slower * seen.live_ms:
        return (
            f"took {seen.new_ms:.1f} ms a request in the mean, the live version {seen.live_ms:.1f} (allowed "
            f"{config.most_slower:g} times)"
        )
    return None
