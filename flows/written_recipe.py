"""A recipe as a person would write it, with comments that say what was seen and what is only a guess."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpus.examples.splits import Split
from corpus.profiling.column import LONG, Column, WordCounts
from corpus.profiling.findings import FEWEST, Findings
from corpus.profiling.guess import Guess
from corpus.profiling.sample import Sample
from corpus.profiling.seen import LABELLED_FOLDERS, PARALLEL, Seen
from corpus.profiling.table import described

WIDTH = 110
LONGEST_LABEL = 40
MOST_LABELS, MOST_COLUMNS = 8, 12
COMMENT_AT = 32
TOKENS_PER_WORD = 1.3  # of English in the vocabulary of BERT; others have more
MAX_LENGTHS = (256, 512)  # what most checkpoints have positions for
CUT = (
    "classification",
    "multi_label",
    "similarity",
    "seq2seq",
    "matching",
)  # others read long texts in windows
# Small ones with safetensors; that of English, that of any language, and those of tasks that write.
ENGLISH, ANY_LANGUAGE = "sentence-transformers/all-MiniLM-L6-v2", "intfloat/multilingual-e5-small"
CHAT = "HuggingFaceTB/SmolLM2-135M-Instruct"
WRITES = {"seq2seq": "google-t5/t5-small", "instructions": CHAT, "preference": CHAT}
KINDS = {
    **{"text": "short texts", "whole": "whole numbers", "number": "numbers", "truth": "true or false"},
    **{"list": "lists of texts", "numbers": "lists of numbers", "messages": "conversations"},
    **{"answers": "answers", "other": "something else"},
}
_FORMATS = {
    "csv": "CSV",
    "tsv": "TSV",
    "json": "JSON",
    "jsonl": "JSON lines",
    "conll": "CoNLL",
    "squad": "SQuAD",
}
_FORMATS |= {
    PARALLEL: "parallel files",
    LABELLED_FOLDERS: "folders of files",
    "parquet": "Parquet",
    "excel": "Excel",
}
# YAML 1.1, which other programs read it by, has more words that mean something.
_PLAIN = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|y|n|nan|inf)$)[^\W\d][\w./ -]*(?<! )", re.IGNORECASE
)


@dataclass(frozen=True)
class Draft:
    """All that a recipe is written from; `unlearnt` are labels by split that no training example has."""

    name: str
    seen: Seen
    guess: Guess
    findings: Findings
    unlearnt: Mapping[Split, Sequence[str]]
    start_from: str = ""


def summary(draft: Draft) -> Iterator[str]:
    """What was seen, a line each; of the texts nothing but how long they are."""
    seen = draft.seen
    for split, sample in seen.samples.items():
        parts = [_FORMATS.get(sample.format, sample.format), *_written(sample), _rows(sample)]
        paths = " ".join(seen.given.files[split])
        beside = ", found beside it" if set(seen.given.files[split]) & set(seen.given.beside) else ""
        yield f"{split}: {paths}{beside}: {', '.join(parts)}"
    if seen.train.format not in (PARALLEL, LABELLED_FOLDERS, "conll"):
        for column in seen.columns[:MOST_COLUMNS]:
            yield f"  {shown(column.name)}: {_column(column, len(seen.train.rows))}"
        if more := len(seen.columns) - MOST_COLUMNS:
            yield f"  {more} more columns" if more > 0 else ""
    found = draft.findings
    if found.labels:
        yield f"labels: {_counted(found.labels)}"
    if found.lengths:
        languages = f"; {' and '.join(found.languages)}" if found.languages else ""
        yield f"texts: {_lengths(found.lengths)}{languages}"
    yield from warnings(draft)


def warnings(draft: Draft) -> Iterator[str]:
    """What would stop a run, and what would make its figures worse."""
    found, sample = draft.findings, draft.seen.train
    for split, one in draft.seen.samples.items():
        if one.fault:
            yield f"a run would stop in the file for {split}: {one.fault}; correct it first"
        is_table = one.format not in (PARALLEL, LABELLED_FOLDERS)
        missing = _columns(draft.guess) - {column for row in one.rows[:1000] for column in _paths(row)}
        if split != "train" and is_table and missing:
            yield f"the file for {split} has no column {', '.join(sorted(map(shown, missing)))}"
        if unlearnt := draft.unlearnt.get(split, ()):
            named = _named(unlearnt)
            yield f"labels for {split} that no training example has: {named}; a run would stop there"
    if found.no_text:
        yield f"rows without a text: {found.no_text:,}; a run would stop there: fill it in or remove them"
    if found.no_label:
        yield f"rows without a label that can be used: {found.no_label:,}; a run would stop there and say why"
    if draft.guess.task == "classification" and len(found.labels) == 1:
        yield "every example has the same label; a run would stop: two are needed"
    if found.repeated:
        yield f"examples with the same texts as another one: {found.repeated:,}"
    if found.contradicting:
        yield f"texts that come with different answers: {found.contradicting:,}"
    if found.rare and len(found.labels) > 1:
        yield f"labels with fewer than {FEWEST} examples: {_named(found.rare)}"
    for column in draft.seen.columns:
        if column.filled * 10 < len(sample.rows) and column.kind != "empty":
            yield f"nearly empty: {shown(column.name)} ({column.filled:,} rows)"


def text_of(draft: Draft, command: str) -> str:
    """The recipe; `command` is the one that it was written by."""
    name, guess, sample = draft.name, draft.guess, draft.seen.train
    lines = [f"# Written by `{_clean(command)}`. A guess is marked with ?: correct what is wrong.", "#"]
    lines += [row for line in summary(draft) for row in _comment(line)]
    lines += [f"name: {name}", "", "examples:", "  kind: files"]
    lines.append(_with(f"  task: {guess.task}", f"? {guess.why}"))
    lines += _files(draft)
    if not sample.is_named and sample.format not in (PARALLEL, LABELLED_FOLDERS):
        lines.append(_with(f"  format: {sample.format}", "the name does not say it"))
    if sample.format == LABELLED_FOLDERS:
        lines += ["  format: text", "  label_from: folder"]
    if not sample.header:
        lines.append(_with("  header: false", "? the first line holds values; columns are numbered"))
    if sample.states_delimiter:
        lines.append(f"  delimiter: {scalar(sample.delimiter)}")
    if sample.strip_prefix:
        lines.append(_with(f"  strip_prefix: {json.dumps(sample.strip_prefix)}", "before each word"))
    if guess.separator != ",":
        lines.append(_with(f"  separator: {json.dumps(guess.separator)}", "between labels"))
    if sample.format not in (PARALLEL, LABELLED_FOLDERS):
        lines += _column_lines(draft)
    if sample.format == "squad":
        lines.append(_with("  group_by: context", "no text is on both sides of a division"))
    lines += ["", *_fine_tune(draft)]
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as a value of YAML: bare where it can be nothing else."""
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text, ensure_ascii=False)


def shown(name: str) -> str:
    """A label or a column's name, short and in one line."""
    clean = _clean(name)
    return clean if len(clean) <= LONGEST_LABEL else f"{clean[: LONGEST_LABEL - 1]}…"


def _files(draft: Draft) -> Iterator[str]:
    splits = {"validation", "test"} - set(draft.seen.samples)
    note = "a tenth of it each for validation and test" if len(splits) == 2 else ""
    note = note or (f"a tenth of it for {splits.pop()}" if splits else "")
    for split, files in draft.seen.given.files.items():
        if draft.seen.train.format == PARALLEL:
            by_path = dict(zip(draft.seen.given.files["train"], files, strict=True))
            named = ", ".join(
                f"{field}: {scalar(by_path[str(path)])}" for field, path in draft.guess.columns.items()
            )
            line = f"  {split}: {{{named}}}"
        else:
            line = f"  {split}: {scalar(files[0])}"
        yield _with(line, note if split == "train" else "? by its name")


def _column_lines(draft: Draft) -> Iterator[str]:
    """Columns that are called otherwise than their fields; a second text is read only where it is named."""
    guess, seen = draft.guess, {column.name: column for column in draft.seen.columns}
    named = {field: column for field, column in guess.columns.items() if field != column or field == "second"}
    if named:
        yield "  columns:"
    for field, column in named.items():
        doubts = [doubt for doubt in guess.doubts if doubt.key == field]
        instead = [shown(one) for doubt in doubts for one in doubt.choices if one != doubt.taken]
        others = f"; or {', '.join(instead)}" if instead else ""
        if isinstance(column, str):
            yield _with(f"    {field}: {_number_or(column)}", f"? {described(seen[column])}{others}")
        else:
            why = "each holds 0 or 1" if field == "labels" else f"joined into one text{others}"
            yield _with(f"    {field}: [{', '.join(map(_number_or, column))}]", f"? {why}")


def _number_or(column: str) -> str:
    """A column by its number, where a table has no header, or by its name."""
    return column if column.isdecimal() else scalar(column)


def _fine_tune(draft: Draft) -> Iterator[str]:
    """What it starts from, and what the texts and labels ask for."""
    settings = [*_longer(draft), *_weights(draft)]
    if draft.start_from:
        yield from ["fine_tune:", f"  start_from: {scalar(draft.start_from)}", *settings]
        return
    is_english = draft.findings.languages in ([], ["English"])
    checkpoint = WRITES.get(draft.guess.task, ENGLISH if is_english else ANY_LANGUAGE)
    folder = f"checkpoints/{checkpoint.partition('/')[2].lower()}"
    yield "# What to start from: a folder, id@commit of the hub, or models:/NAME@alias. To get a small one:"
    yield f"#   hf download {checkpoint} --local-dir {folder}"
    yield "# The other way is `collect` and `pretrain`, a model of your own text (docs/recipes.md)."
    yield "fine_tune:" if settings else "# fine_tune:"
    yield f"#   start_from: {folder}" if not settings else f"  # start_from: {folder}"
    yield from settings


def _longer(draft: Draft) -> Iterator[str]:
    lengths = draft.findings.lengths
    if lengths and lengths.long >= 0.01 and draft.guess.task in CUT:
        needed = lengths.most * TOKENS_PER_WORD
        length = next((one for one in MAX_LENGTHS if one >= needed), MAX_LENGTHS[-1])
        why = f"{lengths.long:.0%} of the texts have more than {LONG} words; the usual {LONG} tokens cut them"
        yield _with(f"  max_length: {length}", why)


def _weights(draft: Draft) -> Iterator[str]:
    if draft.guess.task == "classification" and draft.findings.is_unbalanced:
        counts = list(draft.findings.labels.values())
        yield _with("  class_weights: true", f"? labels have {min(counts):,} to {max(counts):,} examples")


def _written(sample: Sample) -> Iterator[str]:
    """How the files are written, as far as that is worth a word."""
    if sample.format not in ("excel", "parquet"):
        yield " and ".join(sample.encodings).upper()
    if sample.format in ("csv", "tsv"):
        usual = {"csv": ",", "tsv": "\t"}[sample.format]
        if sample.delimiter != usual:
            yield f"{json.dumps(sample.delimiter)} between columns"
    if not sample.header:
        yield "without a header"


def _rows(sample: Sample) -> str:
    first = "the first " if sample.has_more else ""
    counted = f"{first}{len(sample.rows):,} examples"
    if sample.has_more:
        counted += " were looked at, counts are of these"
    return counted + (f" in {sample.files} files" if sample.files > 1 and sample.format != PARALLEL else "")


def _column(column: Column, rows: int) -> str:
    """What kind of thing is in a column, and how many rows have nothing there; no value of it is told."""
    gaps = f", {rows - column.filled:,} empty" if column.filled < rows else ""
    if column.kind == "empty":
        return "empty"
    if column.kind == "text" and column.lengths and column.lengths.median > 2:
        return f"text, {_lengths(column.lengths)}, {column.distinct:,} different{gaps}"
    return f"{KINDS[column.kind]}, {column.distinct:,} different{gaps}"


def _lengths(lengths: WordCounts) -> str:
    if lengths.shortest == lengths.longest:
        return f"{lengths.longest:,} words"
    usual = f"half up to {lengths.median:,}, 95 % up to {lengths.most:,}"
    return f"{lengths.shortest:,} to {lengths.longest:,} words ({usual})"


def _counted(counts: Mapping[str, int]) -> str:
    first = [f"{shown(label)} ({count:,})" for label, count in list(counts.items())[:MOST_LABELS]]
    more = len(counts) - MOST_LABELS
    return ", ".join(first) + (f", and {more:,} more" if more > 0 else "")


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_LABELS
    return ", ".join(map(shown, labels[:MOST_LABELS])) + (f", and {more:,} more" if more > 0 else "")


def _columns(guess: Guess) -> set[str]:
    return {name for one in guess.columns.values() for name in ([one] if isinstance(one, str) else one)}


def _paths(row: Mapping[str, object], before: str = "") -> Iterator[str]:
    for name, value in row.items():
        yield f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{before}{name}.")


def _comment(line: str) -> Iterator[str]:
    """A line of the summary as one or more of comment, each no longer than a line of the recipe."""
    text = _clean(line)
    indent = " " * (len(text) - len(text.lstrip()))
    yield from textwrap.wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent=f"#   {indent}", break_on_hyphens=False
    )


def _with(line: str, comment: str) -> str:
    return f"{line:<{COMMENT_AT}}  # {_clean(comment)}" if comment.strip("? ") else line


def _clean(text: str) -> str:
    """A comment stays in its line, whatever a label or a file's name holds; leading blanks stay."""
    return "".join(one if one.isprintable() else " " for one in text).rstrip()
