"""How a stage is seen: lines and a progress bar on the terminal, logs and artifacts in the Prefect UI.

All output goes through one Rich console, so that a log line never tears a progress bar. Outside a Prefect
run the UI half does nothing, so stages behave the same with and without a server.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from corpus.redaction import redacted

# Some shells without a terminal set COLUMNS=0, and rich would print nothing.
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if (name, value.strip("0")) != ("COLUMNS", "")
}
console = Console(highlight=False, soft_wrap=True, _environ=_ENVIRONMENT)

# On a terminal the bar moves; elsewhere (a file, CI, Prefect's log) a line now and then says how far it is.
LINE_EVERY_SECONDS = 20.0
UI_EVERY_SECONDS = 2.0

Advance = Callable[..., None]

_refused: str | None = None  # what the server said when it took no page any more


def in_prefect_run() -> bool:
    """Whether this code runs inside a Prefect flow or task run."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def say(message: str) -> None:
    """Print one line for the person who watches, and log it in the Prefect UI.

    It may hold Rich's markup (`[yellow]…[/]`); put what comes from outside through `escaped`.
    """
    message = redacted(message)
    console.print(message)
    _log(_without_markup(message))


def _log(line: str) -> None:
    if in_prefect_run():
        from prefect import get_run_logger

        get_run_logger().info(redacted(line))


def escaped(text: str) -> str:
    """A name, an address or an error as part of a message for `say`: brackets in it are no markup."""
    return escape(text)


@contextmanager
def progress(stage: str, what: str, total: float | None) -> Iterator[Advance]:
    """Show progress while the block runs; call the yielded function as `advance(done, note="loss 3.2")`.

    `total` may be None when nobody knows it; then what is done is counted.
    """
    line_at = time.monotonic() + LINE_EVERY_SECONDS
    # The pace is measured from the first news: before it are the start, and what a resumed run found done.
    begun: tuple[float, float] | None = None
    ui = _UiProgress(f"{stage}-progress", f"{stage}: {what}")
    columns = (
        TextColumn("  {task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(done: float, note: str = "", total: float | None = total) -> None:
            nonlocal line_at, begun
            bar.update(task, completed=done, total=total, note=note)
            ui.show(100 * done / total if total else 0, note)
            now = time.monotonic()
            begun = begun or (now, done)
            if now >= line_at and done:
                line_at = now + LINE_EVERY_SECONDS
                seconds, since = now - begun[0], done - begun[1]
                left = f", about {seconds * (total - done) / since:.0f} s left" if total and since > 0 else ""
                far = f" of {total:,.0f}" if total else ""
                line = f"{what}: {done:,.0f}{far}{left}  {note}".rstrip()
                if not console.is_terminal:
                    console.print(f"  {line}", markup=False)
                _log(line)

        yield advance
        ui.show(100, force=True)


class _UiProgress:
    """A Prefect progress artifact, made at its first update and written at most every two seconds."""

    def __init__(self, key: str, description: str) -> None:
        self.key, self.description = artifact_key(key), description
        self.artifact: Any = None
        self.shown_at = 0.0

    def show(self, percent: float, note: str = "", *, force: bool = False) -> None:
        if not shows_pages() or (not force and time.monotonic() - self.shown_at < UI_EVERY_SECONDS):
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        self.shown_at = time.monotonic()
        percent = min(100.0, max(0.0, percent))
        with _optional():
            if self.artifact is None:
                self.artifact = create_progress_artifact(percent, key=self.key, description=self.description)
            else:
                text = f"{self.description}: {note}" if note else None
                update_progress_artifact(self.artifact, percent, text and redacted(text))


def show_markdown(key: str, markdown: str, description: str) -> None:
    """Put a page of Markdown among the Prefect run's artifacts."""
    if shows_pages():
        from prefect.artifacts import create_markdown_artifact

        with _optional():
            create_markdown_artifact(redacted(markdown), key=artifact_key(key), description=description)


def show_link(key: str, url: str, text: str) -> None:
    """Put a link among the Prefect run's artifacts."""
    if shows_pages():
        from prefect.artifacts import create_link_artifact

        with _optional():
            create_link_artifact(redacted(url), link_text=text, key=artifact_key(key), description=text)


def shows_pages() -> bool:
    """Whether there is a Prefect run, and its server has taken all pages so far."""
    return _refused is None and in_prefect_run()


@contextmanager
def _optional() -> Iterator[None]:
    """A page must not end a run: when the server refuses one, it is said, and no other is tried."""
    global _refused
    try:
        yield
    except Exception as error:
        _refused = redacted(str(error)) or type(error).__name__
        console.print(f"  [yellow]no more pages in Prefect, it does not answer: {escaped(_refused)[:200]}[/]")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers get thousands separators, bars in cells are escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(format_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def format_cell(value: object) -> str:
    """A value as a person reads it: 12,345 or 0.0123 or the text itself."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("|", "\\|").replace("\n", " ")
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def artifact_key(text: str) -> str:
    """The text as a Prefect artifact key: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _without_markup(message: str) -> str:
    from rich.text import Text

    return Text.from_markup(message).plain
