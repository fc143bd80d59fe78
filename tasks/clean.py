"""Stage 2: repair, filter and deduplicate; every document that is dropped is kept with its reason."""

from __future__ import annotations

import json

from tasks.artifact import Artifact
from tasks.child import run_child
from tasks.cleaning.config import CleanConfig
from tasks.cleaning.rules import RULES
from tasks.errors import StageError
from tasks.stage import Workspace, stage

ENGINE = "tasks.cleaning.engine"
# Where each filter's limit is in the recipe. Duplicates always leave one document: never all are dropped.
LIMITS = {rule.name: rule.bound for rule in RULES} | {
    "language": "languages",
    "repeated_phrases": "max_repeated_phrases",
}


@stage(runs=(ENGINE,))
def clean(collected: Artifact, config: CleanConfig, workspace: Workspace) -> None:
    """Write `documents/` (kept), `dropped/` (with filter and value) and `report.json` (the funnel).

    The engine is a child process of its own: its memory ends with it, and it may end hard.

    Raises:
        StageError: nothing is left of the corpus.
    """
    job = {
        "input": workspace.path(collected) / "documents",
        "output": workspace.directory,
        "rules": config.model_dump(mode="json"),
    }
    counts = run_child(ENGINE, job, "cleaning", workspace)["counts"]
    dropped: dict[str, int] = counts["dropped"]
    if not counts["kept"]:
        worst, count = max(dropped.items(), key=lambda item: item[1])
        raise StageError(
            f"clean: every one of the {counts['collected']:,} documents was dropped, {count:,} of them by "
            f"{worst}; relax clean.{LIMITS[worst]} in the recipe"
        )
    workspace.counts |= {"collected": counts["collected"], "kept": counts["kept"]}
    workspace.counts |= {f"dropped by {name}": count for name, count in dropped.items()}
    report = json.loads((workspace.directory / "report.json").read_text())
    by_size = sorted(dropped.items(), key=lambda item: -item[1])
    workspace.table("Dropped by", ["filter", "documents"], by_size)
    workspace.table("Languages", ["language", "documents"], list(report["languages"].items()))
    top = ", ".join(f"{name} {count:,}" for name, count in by_size[:4])
    workspace.say(f"{counts['kept']:,} of {counts['collected']:,} documents kept; dropped by {top}")
