"""The stage that lets a corpus pass, or stops the line before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from expectations.checkpoint import Rule, Verdict, judge
from expectations.clean_corpus import CorpusDemands, suite
from expectations.statistics import CorpusStatistics, FailingDocument
from tasks.artifact import Artifact
from tasks.documents import shard_paths
from tasks.errors import SourceError, StageError
from tasks.stage import Config, Workspace, stage
from tasks.visible import format_cell

FAILING_DOCUMENTS = 20
SHOWN_IN_ERROR = 3

Blamed = dict[str, list[FailingDocument]]


class ValidateConfig(CorpusDemands, Config):
    """What the corpus must be like, and which rules warn instead of stopping the line."""

    warn_only: tuple[str, ...] = Field((), description="names of rules that warn and let the corpus pass")

    @model_validator(mode="after")
    def _known_rules(self) -> ValidateConfig:
        names = [rule.name for rule in suite(self)]
        if unknown := sorted(set(self.warn_only) - set(names)):
            raise ValueError(
                f"warn_only: no rule {unknown[0]!r} with these demands; it is one of {', '.join(names)}"
            )
        return self


@stage(runs=["expectations."])  # the style sheet of the Data Docs counts too
def validate(cleaned: Artifact, config: ValidateConfig, workspace: Workspace) -> None:
    """Check the cleaned corpus against the demands of the recipe (Great Expectations).

    Writes `validation.json` (every rule with what was observed and the ids of documents to blame) and
    `data_docs/index.html`. No text of a document is in either.

    Raises:
        StageError: a rule is broken that is not in `warn_only`; both files are then in the scratch
            directory that the message names.
        SourceError: the shards are missing or damaged.
    """
    rules = suite(config)
    figures, blamed, composition = _measure(workspace.path(cleaned), rules, config)
    verdicts, page = judge("clean_corpus", rules, figures, config.warn_only)
    if any(verdict.stops for verdict in verdicts):
        _write(workspace.scratch, verdicts, blamed, page)
        raise StageError(_refusal(verdicts, blamed, workspace.scratch))
    _write(workspace.directory, verdicts, blamed, page)
    workspace.volatile.add("data_docs/")  # the page carries the time of the run

    broken = [verdict for verdict in verdicts if not verdict.passed]
    workspace.counts |= {
        "documents": int(figures["documents"]),
        "rules": len(verdicts),
        "warnings": len(broken),
    }
    workspace.metrics |= {name: figure for name, figure in figures.items() if name != "documents"}
    workspace.table(
        "Rules",
        ["Rule", "Observed", "Demanded", ""],
        [(v.rule.description, v.observed, v.rule.expected, _word(v)) for v in verdicts],
    )
    workspace.table("Composition", ["Source", "Language", "Documents", "Characters"], composition)
    workspace.say(f"{len(verdicts) - len(broken)} of {len(verdicts)} rules hold")
    for verdict in broken:
        workspace.say(f"[yellow]warning: {_finding(verdict)}")


def _measure(
    cleaned: Path, rules: Sequence[Rule], config: ValidateConfig
) -> tuple[dict[str, float], Blamed, list[tuple[Any, ...]]]:
    """The figure of each rule, documents to blame where a rule has them, and what the corpus consists of."""
    import duckdb

    shard_paths(cleaned / "documents")
    try:
        with CorpusStatistics(cleaned / "documents", cleaned / "dropped") as statistics:
            figures = statistics.measure({rule.name: rule.aggregate for rule in rules})
            blamed = {
                rule.name: statistics.failing(rule.failing, FAILING_DOCUMENTS)
                for rule in rules
                if rule.failing is not None
            }
            return figures, blamed, statistics.composition()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"validate: {cleaned}: the shards can't be read ({first}); clean again") from error


def _write(directory: Path, verdicts: Sequence[Verdict], blamed: Blamed, page: str) -> None:
    report = [
        {
            "rule": verdict.rule.name,
            "description": verdict.rule.description,
            "observed": verdict.observed,
            "expected": verdict.rule.expected,
            "passed": verdict.passed,
            "warn_only": verdict.warn_only,
            "failing": [
                {"id": document.id, "uri": document.uri} for document in blamed.get(verdict.rule.name, [])
            ],
        }
        for verdict in verdicts
    ]
    (directory / "data_docs").mkdir(exist_ok=True)
    (directory / "data_docs" / "index.html").write_text(page, encoding="utf-8")
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (directory / "validation.json").write_text(text + "\n", encoding="utf-8")


def _refusal(verdicts: Sequence[Verdict], blamed: Blamed, kept: Path) -> str:
    stopping = [verdict for verdict in verdicts if verdict.stops]
    lines = [f"validate: the corpus breaks {len(stopping)} of {len(verdicts)} rules"]
    for verdict in stopping:
        lines += [f"  {_finding(verdict)}", f"    way out: {verdict.rule.advice}"]
        lines += [f"    {d.id}  {d.uri}" for d in blamed.get(verdict.rule.name, [])[:SHOWN_IN_ERROR]]
    lines.append(
        f"  or put a rule's name into validate.warn_only; all rules: {kept / 'data_docs/index.html'}"
    )
    return "\n".join(lines)


def _finding(verdict: Verdict) -> str:
    rule = verdict.rule
    return f"{rule.name}: {rule.description} is {format_cell(verdict.observed)}, demanded is {rule.expected}"


def _word(verdict: Verdict) -> str:
    return "holds" if verdict.passed else "warning"
