"""Stage: repair, mask, filter, deduplicate and mix; what is dropped is kept with its reason."""

from __future__ import annotations

import json
from typing import Any

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.filter_keys import DROPPED_BY, most_dropped
from tasks.contract.artifact import Artifact
from tasks.contract.child import run_child
from tasks.contract.errors import StageError
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

ENGINE = "corpus.cleaning.engine.process"


@stage(runs=(ENGINE, "corpus.cleaning.filters.plain."), libraries=("ftfy", "opencc", "pycld2"))
def clean(collected: Artifact, config: CleanConfig, workspace: Workspace) -> None:
    """Write what is kept and what is dropped, a row of statistics per document, and the report.

    `documents/`, `dropped/` (with filter, value and `duplicate_of`), `statistics/` (every collected
    document, without its text), `clusters.parquet`, `contaminated.parquet`, `report.json`. All but the
    statistics have the id that a document was collected under beside its own: `collected_id`.

    The engine is a child process: its memory ends with it, and a crash in it is an error here.

    Raises:
        StageError: nothing is left of the corpus.
    """
    job = {
        "input": workspace.path(collected),
        "output": workspace.directory,
        "scratch": workspace.scratch,
        "config": config.model_dump(mode="json"),
    }
    counts = run_child(ENGINE, job, "cleaning", workspace)["counts"]
    if not counts["kept"]:
        raise nothing_left(counts)
    workspace.counts |= {"collected": counts["collected"], "kept": counts["kept"]}
    workspace.counts |= {f"{DROPPED_BY}{name}": count for name, count in counts["dropped"].items()}
    report = json.loads((workspace.directory / "report.json").read_text(encoding="utf-8"))
    _show(report, workspace)
    by_size = sorted(counts["dropped"].items(), key=lambda item: -item[1])
    top = ", ".join(f"{name} {count:,}" for name, count in by_size[:4] if count)
    masked = sum(report["personal_data"].values())
    # A few dropped books can be most of a corpus.
    of_text = report["bytes"]["kept"] / max(1, report["bytes"]["collected"])
    workspace.say(
        f"{counts['kept']:,} of {counts['collected']:,} documents kept, {of_text:.0%} of the text"
        + (f"; dropped by {top}" if top else "")
        + (f"; {masked:,} pieces of personal data masked" if masked else "")
    )


def nothing_left(counts: dict[str, Any]) -> StageError:
    """The error that names the filter which dropped most, and where the recipe sets it."""
    if not counts["collected"]:
        return StageError("clean: there is no document to clean; check collect.sources in the recipe")
    worst, count, place = most_dropped(counts["dropped"])
    return StageError(
        f"clean: every one of the {counts['collected']:,} documents was dropped, {count:,} of them by "
        f"{worst}; relax {place} in the recipe"
    )


def _show(report: dict[str, Any], workspace: Workspace) -> None:
    """The tables of the stage's page."""
    workspace.table(
        "What was dropped, in this order",
        ["filter", "documents", "left"],
        [(step["reason"], step["documents"], step["left"]) for step in report["funnel"] if step["documents"]],
    )
    workspace.table("Languages", ["language", "documents kept"], _largest_first(report["languages"]))
    workspace.table(
        "Sources",
        ["source", "collected", "clean", "kept"],
        [(s["source"], s["collected"], s["clean"], s["kept"]) for s in report["mixing"]],
    )
    workspace.table("Personal data masked", ["kind", "values"], _largest_first(report["personal_data"]))
    if report["largest_clusters"]:
        workspace.table(
            "Largest clusters of duplicates",
            ["kept document", "documents"],
            [(cluster["uri"], cluster["documents"]) for cluster in report["largest_clusters"]],
        )


def _largest_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
