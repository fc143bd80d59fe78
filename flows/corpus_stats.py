"""`textmill corpus stats`: what became of the documents, and what the corpus consists of, in bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from flows.corpus_figures import Bars, corpus_bars, largest
from flows.last_corpus import LastCorpus, query, shards

WIDTH = 110


def draw(corpus: LastCorpus, console: Console) -> None:
    """Print the figures of a corpus as tables with bars.

    Raises:
        StageError: the files of the corpus can't be read.
    """
    counts = corpus.report["counts"]
    console.print(f"[bold]{corpus.recipe}[/]: {counts['kept']:,} of {counts['collected']:,} documents kept")
    _draw_funnel(corpus.report["funnel"], counts["collected"], console)
    for bars in [*corpus_bars(corpus.report), *_collection(corpus)]:
        _draw_bars(bars, console)


def _collection(corpus: LastCorpus) -> list[Bars]:
    """Encodings, and the reasons for which records were left out."""
    if corpus.collected is None:
        return []
    skipped = str(corpus.collected / "skipped.parquet")
    charts = [
        largest("encodings of the collected documents", _counted("encoding", corpus.collected / "documents")),
        largest("records that were left out", _counted("reason", skipped)),
    ]
    return [bars for bars in charts if bars.heights]


def _counted(column: str, files: Path | str) -> dict[str | None, int]:
    counted = f"SELECT {column} AS name, count(*) AS n FROM read_parquet($files) GROUP BY 1"
    paths = shards(files) if isinstance(files, Path) else [files]
    return {row["name"]: row["n"] for row in query(counted, {"files": paths})}


def _draw_funnel(funnel: Sequence[Mapping[str, Any]], collected: int, console: Console) -> None:
    table = _table(console, "filter", "dropped", "left")
    for step in funnel:
        if step["documents"]:
            bar = Bar(max(1, collected), 0, step["left"])
            table.add_row(step["reason"], f"{step['documents']:,}", f"{step['left']:,}", bar)
    _print(f"from {collected:,} collected documents to those kept", table, console)


def _draw_bars(bars: Bars, console: Console) -> None:
    table = _table(console, "", "number", "share")
    for name, height in bars.heights:
        share = f"{100 * height / bars.total:.1f} %"
        number = f"{height:,}" if bars.wholes is None else f"{height:,} of {bars.whole(name):,}"
        table.add_row(name, number, share, Bar(bars.highest, 0, height))
    _print(bars.title, table, console)


def _table(console: Console, name: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(name), width=min(WIDTH, console.width))
    table.add_column(name, min_width=16, max_width=32, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    return table


def _print(title: str, table: Table, console: Console) -> None:
    console.print(f"\n[bold]{title}[/]")
    console.print(table, soft_wrap=False)
