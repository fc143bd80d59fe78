"""What people see: tables, figures, keys, and progress where there is no terminal."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tasks.contract import console


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (2.0, "2"),
        (0.012345, "0.01235"),
        (12345.67, "12,345.7"),
        (True, "True"),
        ("a|b\nc", "a\\|b c"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_cells_are_readable(value: object, shown: str) -> None:
    assert console.format_cell(value) == shown


def test_table_is_markdown() -> None:
    assert console.markdown_table(["name", "n"], [("a|b", 1000)]) == (
        "| name | n |\n| --- | --- |\n| a\\|b | 1,000 |"
    )


def test_artifact_keys_are_what_prefect_accepts() -> None:
    assert console.artifact_key("fine_tune-progress (Ü)") == "fine-tune-progress"


def test_progress_without_a_terminal_is_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    with console.progress("collect", "documents", total=None) as advance:
        advance(1000, note="from files")
    with console.progress("tokenize", "encoding", total=0) as advance:
        advance(0)
    assert capsys.readouterr().out == "  documents: 1,000  from files\n"
    assert not console.in_prefect_run()


def test_the_pace_counts_only_what_is_done_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 100.0, 110.0])  # begun, the first news after a long start, ten seconds later
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with console.progress("pretrain", "pretraining", total=100) as advance:
        advance(50, note="goes on")
        advance(60)
    assert (
        capsys.readouterr().out
        == "  pretraining: 50 of 100  goes on\n  pretraining: 60 of 100, about 40 s left\n"
    )


def test_brackets_in_names_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    with console.progress("collect", "pages of [a]", total=None) as advance:
        advance(1, note="https://example.org/?q[/b]=[red]")
    console.say(f"[yellow]{console.escaped('a [/b] [red]')}[/] c")
    assert capsys.readouterr().out == "  pages of [a]: 1  https://example.org/?q[/b]=[red]\na [/b] [red] c\n"


def test_said_line_is_one_line_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("[green]done[/] " + "x" * 300)
    assert capsys.readouterr().out == "done " + "x" * 300 + "\n"


def test_a_shell_of_no_columns_is_told_all_the_same() -> None:
    code = "from tasks.contract import console; console.say('said')"
    environment = os.environ | {"COLUMNS": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8"
    )
    assert ended.stdout == "said\n"
