"""`textmill new`: look at somebody's files, ask what is not sure, and write the recipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from corpus.examples.splits import Split
from corpus.profiling.findings import findings, labels_in
from corpus.profiling.given import split_of
from corpus.profiling.guess import Guess
from corpus.profiling.seen import Seen, look
from corpus.profiling.table import Doubt
from flows.written_recipe import Draft, shown, summary, text_of
from tasks.contract.console import console, progress
from tasks.contract.errors import RecipeError

LONGEST_NAME = 60
_HUB = re.compile(r"[\w.-]+(?:/[\w.-]+)?@[0-9a-f]{7,40}")
_REGISTRY = re.compile(r"models:/[^/@]+(@\w+|/\d+)")
# Endings that the endpoint and adapters need for themselves.
_KEPT = re.compile(r"-(candidate|adapter|v\d+-labels)$")


def new(paths: Sequence[str], *, start_from: str, yes: bool, force: bool) -> Path:
    """Write `NAME.yaml` into this folder; the file.

    Args:
        start_from: a public checkpoint; empty: it is asked for, or left open.
        yes: ask nothing.
        force: write over a file that is there.

    Raises:
        RecipeError: there is such a recipe already, or the checkpoint is none.
        CorpusError: nothing can be made of the files.
    """
    name = name_of(paths)
    target = Path(f"{name}.yaml")
    if target.exists() and not force:
        raise RecipeError(f"{target} is there already; give --force to write over it, or rename it")
    if start_from and (fault := fault_of(start_from)):
        raise RecipeError(f"--start-from {start_from}: {fault}")
    with progress("new", "rows", None) as advance:
        seen = look(paths, advance)
    asks = sys.stdin.isatty() and console.is_terminal and not yes
    guess = _answered(seen) if asks else seen.guessed({})
    draft = Draft(name, seen, guess, findings(seen.train.rows, guess), _unlearnt(seen, guess), start_from)
    for line in filter(None, summary(draft)):
        console.print(line, markup=False)
    if asks and not start_from:
        draft = replace(draft, start_from=_asked_checkpoint())
    target.write_text(text_of(draft, command_line(paths, start_from)), encoding="utf-8")
    for line in _closing(target, draft):
        console.print(line, markup=False)
    return target


def name_of(paths: Sequence[str]) -> str:
    """A recipe's name by its files: that of the first, or of its folder where it is called train or data."""
    first = PurePosixPath(paths[0].rstrip("/"))
    stem = first.name.split(".")[0]
    if split_of(stem) or stem in ("data", "examples") or not _slug(stem):
        stem = first.parent.name or Path.cwd().name
    return _KEPT.sub("", _slug(stem)[:LONGEST_NAME].strip("-")) or "examples"


def fault_of(start_from: str) -> str:
    """Why a checkpoint can't be started from, as far as its name tells; "" if it can."""
    if _REGISTRY.fullmatch(start_from) or _HUB.fullmatch(start_from):
        return ""
    if (Path(start_from) / "config.json").is_file():
        return ""
    if Path(start_from).is_dir():
        return "a folder without config.json, so no checkpoint"
    return "no folder here; give one, id@commit of the hub, or models:/NAME@alias"


def command_line(paths: Sequence[str], start_from: str) -> str:
    """The command as it was given."""
    options = f" --start-from {start_from}" if start_from else ""
    return f"textmill new {' '.join(paths)}{options}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _unlearnt(seen: Seen, guess: Guess) -> Mapping[Split, Sequence[str]]:
    """Labels by split that no training example has; nothing where not all training examples were seen."""
    if seen.train.has_more:
        return {}
    learnt = labels_in(seen.train.rows, guess)
    others = {split: one for split, one in seen.samples.items() if split != "train"}
    found = {
        split: sorted(labels_in(one.rows, guess).keys() - learnt.keys()) for split, one in others.items()
    }
    return {split: labels for split, labels in found.items() if labels}


def _answered(seen: Seen) -> Guess:
    """Ask until nothing is in doubt; another answer may raise other questions."""
    told: dict[str, str] = {}
    while doubts := [doubt for doubt in seen.guessed(told).doubts if doubt.key not in told]:
        told[doubts[0].key] = _asked(doubts[0])
    return seen.guessed(told)


def _asked(doubt: Doubt) -> str:
    choices = list(doubt.choices)
    console.print(f"\n{doubt.question}", markup=False)
    for number, (choice, meaning) in enumerate(doubt.choices.items(), 1):
        console.print(f"  {number}  {shown(choice)}{f'  ({meaning})' if meaning else ''}", markup=False)
    usual = choices.index(doubt.taken) + 1
    while True:
        answer = _typed(f"1 to {len(choices)} [{usual}]: ") or str(usual)
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        if answer in choices:
            return answer


def _asked_checkpoint() -> str:
    console.print(
        "\nWhich public checkpoint to start from? A folder, id@commit of the hub, or models:/NAME@alias",
        markup=False,
    )
    while answer := _typed("(nothing: later): "):
        if not (fault := fault_of(answer)):
            return answer
        console.print(f"  {answer}: {fault}", markup=False)
    return ""


def _typed(prompt: str) -> str:
    """A line that somebody types; nothing where the input ends."""
    try:
        return console.input(prompt, markup=False).strip()
    except EOFError:
        return ""


def _closing(target: Path, draft: Draft) -> Sequence[str]:
    unsure = [doubt.question for doubt in draft.guess.doubts]
    lines = ["", f"written: {target}"]
    if unsure:
        lines.append(f"not sure: {' '.join(unsure)} What was taken is marked with ? in the file")
    if not draft.start_from:
        lines.append("next: name a checkpoint there (fine_tune.start_from), then")
    lines.append(
        f"{'next: ' if draft.start_from else '      '}textmill plan {target} && textmill run {target}"
    )
    return lines
