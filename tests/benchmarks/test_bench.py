"""The frame's arithmetic, on timings made up for it; nothing here says how fast anything is."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence

import pytest

from benchmarks import data
from benchmarks.bench import BenchmarkError, Result, around, cpu_seconds, in_turn, percentile, run

RATIOS = [1.5, 1.0, 9.0, 1.2, 1.1]


def result(ratios: Sequence[float] = RATIOS, bar: float | None = 1.2, lower_is_better: bool = True) -> Result:
    return Result(
        name="made-up",
        title="Made up",
        columns=["way", "ms"],
        rows=[["ours", "1.2"], ["peer", "1.0"]],
        ratios=ratios,
        bar=bar,
        lower_is_better=lower_is_better,
        note="A note.",
    )


def test_an_outlier_does_not_move_the_ratio() -> None:
    assert result().ratio == 1.2


def test_the_verdict_line_holds_all_that_a_program_reads() -> None:
    assert result().verdict() == "ok made-up ratio=1.20 bar=1.20 (at most) spread=1.00-9.00 rounds=5"
    assert result(bar=1.19).verdict().startswith("short made-up ratio=1.20 bar=1.19 (at most)")


def test_a_bar_can_be_a_floor() -> None:
    assert result(bar=1.2, lower_is_better=False).passed
    assert not result(bar=1.21, lower_is_better=False).passed
    assert "(at least)" in result(lower_is_better=False).verdict()


def test_without_a_bar_there_is_no_verdict() -> None:
    assert result(bar=None).passed
    assert result(bar=None).verdict() == "measured made-up ratio=1.20 bar=none spread=1.00-9.00 rounds=5"


def test_the_verdict_over_all_names_every_ratio_and_is_short_when_one_is() -> None:
    good, bad = dataclasses.replace(result(), name="data_good"), result(bar=1.1)
    assert data.verdict([good, good]) == "ok data good=1.20 good=1.20"
    assert data.verdict([good, bad]) == "short data good=1.20 made-up=1.20"


def test_fewer_than_five_rounds_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="4 rounds, at least 5"):
        result(RATIOS[:4])


def test_rounds_alternate_after_one_warm_up_each() -> None:
    calls: list[str] = []

    def side(name: str) -> int:
        calls.append(name)
        return len(calls)

    pairs = in_turn(lambda: side("ours"), lambda: side("peer"), 3)
    assert calls == ["ours", "peer"] * 4
    assert pairs == [(3, 4), (5, 6), (7, 8)]


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (51, 6), (99, 10), (100, 10), (1, 1)])
def test_percentiles_are_values_that_occurred(percent: int, expected: int) -> None:
    assert percentile([10, 1, 9, 2, 8, 3, 7, 4, 6, 5], percent) == expected


def test_a_median_is_shown_with_its_spread() -> None:
    assert around([3.0, 1.0, 2.0]) == "2.00 (1.00-3.00)"
    assert around([1500.0, 900.0, 2100.0], 0) == "1,500 (900-2,100)"


@pytest.mark.parametrize(("bar", "code"), [(1.2, 0), (1.1, 1)])
def test_the_exit_code_and_the_last_line_say_whether_the_bar_was_met(
    bar: float, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["made-up"])
    assert run(lambda _: result(bar=bar), argparse.ArgumentParser()) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == result(bar=bar).verdict()
    assert lines.count(lines[-1]) == 1
    assert "| ours | 1.2 |" in lines


def test_what_can_not_be_measured_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: argparse.Namespace) -> Result:
        raise BenchmarkError("no Triton is running")

    monkeypatch.setattr("sys.argv", ["made-up"])
    assert run(measure, argparse.ArgumentParser()) == 2
    printed = capsys.readouterr()
    assert printed.err == "no Triton is running\n"
    assert printed.out == ""


def test_a_result_is_a_markdown_section() -> None:
    report = dataclasses.replace(result(), note="Why.").report()
    assert report.startswith("## Made up\n\n| way | ms |\n| --- | --- |\n| ours | 1.2 |\n")
    assert report.endswith(f"\n\nWhy.\n\n`{result().verdict()}`\n")


def test_cpu_seconds_are_those_of_the_command_and_leave_the_cores_alone() -> None:
    cores = os.sched_getaffinity(0)
    busy = cpu_seconds([sys.executable, "-S", "-c", "import time\nwhile time.process_time() < 0.2: pass"])
    assert 0.2 <= busy < 1
    assert os.sched_getaffinity(0) == cores


def test_a_command_that_fails_ends_the_benchmark_with_what_it_said() -> None:
    with pytest.raises(BenchmarkError, match="no such thing"):
        cpu_seconds([sys.executable, "-S", "-c", "raise SystemExit('no such thing')"])
