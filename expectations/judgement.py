"""Judges measured figures with Great Expectations and renders the Data Docs page of the judgement.

Every figure is a column of a one-row table, every rule an expectation on its column. The page is GX's
own; only its outside is replaced: scripts and styles from content networks give way to one style sheet
inside the page, so it opens without a network and asks nobody for anything.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from model_code.config.strict import Config

Share = Annotated[float, Field(ge=0, le=1)]

STYLE = Path(__file__).with_name("data_docs.css")


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure of the corpus and the range it has to lie in, bounds included.

    `advice` is what a person can do when it fails. `aggregate` is the SQL that measures it (empty: the
    checkpoint does it in another way), `failing` the SQL predicate of the documents to blame (None when no
    single document is), `table` the table that these are in.
    """

    name: str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    advice: str = ""
    aggregate: str = ""
    failing: str | None = None
    table: str = "documents"

    @property
    def expected(self) -> str:
        """The range in words."""
        if self.minimum is None:
            return f"at most {self.maximum:,.10g}"
        if self.maximum is None:
            return f"at least {self.minimum:,.10g}"
        return f"{self.minimum:,.10g} to {self.maximum:,.10g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was observed for a rule; only a rule that is not `warn_only` can stop the run."""

    rule: Rule
    observed: float
    passed: bool
    warn_only: bool

    @property
    def stops(self) -> bool:
        """Whether this verdict stops the run."""
        return not (self.passed or self.warn_only)


@dataclass(frozen=True, slots=True)
class FailingDocument:
    """A document that breaks a rule, without its text."""

    id: str
    uri: str


class Demands(Config, ABC):
    """The thresholds of a checkpoint, and which of its rules warn instead of stopping the run."""

    warn_only: tuple[str, ...] = Field((), description="names of rules that warn and let the run go on")

    @abstractmethod
    def rules(self) -> list[Rule]:
        """The rules that can follow from these thresholds, in the order in which they are reported."""

    @model_validator(mode="after")
    def _known_rules(self) -> Self:
        names = [rule.name for rule in self.rules()]
        if unknown := sorted(set(self.warn_only) - set(names)):
            raise ValueError(
                f"warn_only: no rule {unknown[0]!r} with these demands; it is one of {', '.join(names)}"
            )
        return self


def judge_figures(
    checkpoint: str, rules: Sequence[Rule], figures: Mapping[str, float], warn_only: Collection[str] = ()
) -> tuple[list[Verdict], str]:
    """Validate one figure per rule name, in an ephemeral GX context.

    Returns the verdicts in the order of the rules, and the Data Docs page as self-contained HTML.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.core.expect_column_max_to_be_between import (
        ExpectColumnMaxToBeBetween,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("statistics").add_dataframe_asset(checkpoint)
    batch = asset.add_batch_definition_whole_dataframe("corpus").get_batch(
        {"dataframe": pd.DataFrame([{rule.name: figures[rule.name] for rule in rules}])}
    )
    # The greatest value of one row is that row; unlike the row-wise expectation it reports what it saw.
    expectations = [
        ExpectColumnMaxToBeBetween(
            column=rule.name,
            min_value=rule.minimum,
            max_value=rule.maximum,
            description=f"{rule.description}: {rule.expected}{' (warns only)' * (rule.name in warn_only)}",
            severity=FailureSeverity.WARNING if rule.name in warn_only else FailureSeverity.CRITICAL,
        )
        for rule in rules
    ]
    result = batch.validate(gx.ExpectationSuite(checkpoint, expectations=expectations))
    outcomes: dict[str, Any] = {_column(outcome): outcome for outcome in result.results}
    for name, outcome in outcomes.items():
        # The page can't print a numpy number (its repr is no decimal), and 7 reads better than 7.0.
        outcome.result["observed_value"] = _plain(figures[name])
    verdicts = [
        Verdict(rule, figures[rule.name], bool(outcomes[rule.name].success), rule.name in warn_only)
        for rule in rules
    ]
    meta: Any = result.meta
    meta["batch_kwargs"] = {"data_asset_name": checkpoint}  # where the page looks for the name
    view: Any = DefaultJinjaPageView()
    return verdicts, _offline(view.render(ValidationResultsPageRenderer().render(result)))


def _column(outcome: Any) -> str:
    name: str = outcome.expectation_config.kwargs["column"]
    return name


def _plain(figure: float) -> float:
    return int(figure) if figure == int(figure) else float(figure)


def _offline(page: str) -> str:
    """The page with nothing to fetch and nowhere to go, and one style sheet within."""
    page = re.sub(r"<(script|style|footer)\b.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r'<body>.*?(?=<div class="container-fluid)', "<body>\n", page, flags=re.DOTALL)
    page = re.sub(r"<(link|img)\b[^>]*>", "", page)
    page = re.sub(r'<a href="\.\./[^"]*"\s*>(.*?)</a>', r"\1", page, flags=re.DOTALL)
    return page.replace("</head>", f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>", 1)
