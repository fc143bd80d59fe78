"""What `textmill corpus` looks at: the corpus that the last run of a recipe collected and cleaned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows import environment
from flows.run_record import last_artifact
from tasks.contract.errors import StageError
from tasks.contract.store import Store

MEMORY = "1GB"


@dataclass(frozen=True)
class LastCorpus:
    """The artifacts of a corpus: `collected` is None when it is no longer there, `config` cleaning's own."""

    recipe: str
    cleaned: Path
    config: Mapping[str, Any]
    collected: Path | None

    @cached_property
    def report(self) -> dict[str, Any]:
        """The report of the cleaning: funnel, languages, lengths, duplicates, personal data."""
        report: dict[str, Any] = json.loads((self.cleaned / "report.json").read_text(encoding="utf-8"))
        return report

    @property
    def dropped(self) -> dict[str, int]:
        """How many documents each filter dropped, in the order in which they apply."""
        dropped: dict[str, int] = self.report["counts"]["dropped"]
        return dropped


def last_corpus(recipe: str) -> LastCorpus:
    """The corpus of the newest run of a recipe that came to its cleaning.

    Raises:
        StageError: there is none, or its artifact was removed.
    """
    store = Store(environment.home())
    cleaned = last_artifact(store, recipe, "clean")
    if cleaned is None:
        raise StageError(
            f"corpus: no cleaned corpus of {recipe} is in {store.home}; "
            f"run `textmill run {recipe}` first, it is there as soon as the stage clean is done (a recipe "
            "without `collect` has none)"
        )
    manifest = store.manifest(cleaned.stage, cleaned.key)
    collected = last_artifact(store, recipe, "collect")
    if manifest and collected and manifest.inputs.get("collected", {}).get("digest") != collected.digest:
        collected = None  # a newer run has collected, and not cleaned
    return LastCorpus(
        recipe,
        store.path(cleaned),
        manifest.config if manifest else {},
        store.path(collected) if collected else None,
    )


def query(sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows that a query over Parquet files gives, by column name.

    Raises:
        StageError: a file is missing or damaged.
    """
    import duckdb

    try:
        with duckdb.connect(
            config={"memory_limit": MEMORY, "autoinstall_known_extensions": False}
        ) as database:
            result = database.execute(sql, dict(parameters or {}))
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    except duckdb.Error as error:
        raise StageError(
            f"corpus: the files of the corpus can't be read ({str(error).splitlines()[0]}); "
            "run the recipe again, they are made anew"
        ) from error


def shards(directory: Path) -> list[str]:
    """The Parquet files of a folder."""
    return [str(path) for path in sorted(directory.glob("*.parquet"))]
