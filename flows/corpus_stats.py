"""`textmill corpus stats`: what became of the documents, and what the corpus consists of, in bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from flows.corpus import Corpus, query, shards

MOST_ROWS = 20


def draw(corpus: Corpus, console: Console) -> None:
    """Print the figures of a corpus as tables with bars.

    Raises:
        StageError: the files of the corpus can't be read.
    """
    report = corpus.report
    counts = report["counts"]
    console.print(f"[bold]{corpus.recipe}[/]: {counts['kept']:,} of {counts['collected']:,} documents kept")
    _draw_funnel(report["funnel"], counts["collected"], console)
    _draw_bars("languages, kept documents", report["languages"], console)
    lengths = report["lengths"]
    named = {f"{int(least):,} to {2 * int(least) - 1:,}": least for least in lengths["collected"]}
    for which in ("collected", "kept"):
        heights = {name: lengths[which].get(least, 0) for name, least in named.items()}
        _draw_bars(f"lengths in characters, {which} documents", heights, console, sort=False)
    sizes = {f"{size} documents": n for size, n in report["duplicate_clusters"].items()}
    _draw_bars("duplicate clusters by size", sizes, console, sort=False)
    _draw_bars("sources, kept documents", {row["source"]: row["kept"] for row in report["mixing"]}, console)
    if corpus.collected is not None:
        _draw_bars("encodings, collected documents", _counted(corpus, "documents", "encoding"), console)
        _draw_bars("records left out", _counted(corpus, "", "reason", "skipped.parquet"), console)
    _draw_bars("personal data, masked values", report["personal_data"], console)
    _draw_bars("words of word lists, kept documents", report["word_lists"]["kept"], console)


def _counted(corpus: Corpus, folder: str, column: str, file: str = "") -> dict[str, int]:
    assert corpus.collected is not None
    files = [str(corpus.collected / file)] if file else shards(corpus.collected / folder)
    counted = f"SELECT {column} AS name, count(*) AS n FROM read_parquet($files) GROUP BY 1"
    return {row["name"]: row["n"] for row in query(counted, {"files": files})}


def _draw_funnel(funnel: Sequence[Mapping[str, object]], collected: int, console: Console) -> None:
    table = _table("filter", "dropped", "left")
    for step in funnel:
        dropped, left = int(str(step["documents"])), int(str(step["left"]))
        if dropped:
            bar = Bar(max(1, collected), 0, left)
            table.add_row(str(step["reason"]), f"{dropped:,}", f"{left:,}", bar)
    _print(f"from {collected:,} collected documents to those kept", table, console)


def _draw_bars(title: str, heights: Mapping[str, int], console: Console, *, sort: bool = True) -> None:
    """A bar per name; nothing when there is nothing to show. What is sorted is cut after 20 names."""
    shown = [(name, n) for name, n in heights.items() if n or not sort]
    if sort:
        shown.sort(key=lambda item: (-item[1], item[0]))
        rest = shown[MOST_ROWS:]
        shown = shown[:MOST_ROWS]
        if rest:
            shown.append((f"{len(rest)} others", sum(n for _, n in rest)))
    if not any(n for _, n in shown):
        return
    highest, total = max(n for _, n in shown), sum(n for _, n in shown)
    table = _table("", "number", "share")
    for name, n in shown:
        table.add_row(name, f"{n:,}", f"{100 * n / total:.1f} %", Bar(highest, 0, n))
    _print(title, table, console)


def _table(name: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(name), expand=True)
    table.add_column(name, max_width=32, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    table.add_column("", ratio=1, max_width=60)
    return table


def _print(title: str, table: Table, console: Console) -> None:
    console.print(f"\n[bold]{title}[/]")
    console.print(table, soft_wrap=False)
