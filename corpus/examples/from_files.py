"""Examples in files: read, checked, and divided where the recipe names no file for a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from corpus.errors import CorpusError
from corpus.examples.config import FilesExamples
from corpus.examples.from_row import Fields
from corpus.examples.label_checks import check_labels, check_spellings
from corpus.examples.path_labels import field_from_path, label_of_path
from corpus.examples.same_file import Contents, check_apart
from corpus.examples.splits import SPLITS, Split, Splits
from corpus.examples.stratified import strata_of, stratified_splits
from corpus.examples.with_rows import ExampleWithRow, assembled, chosen, example_in
from corpus.reading import parallel
from corpus.reading.delimited import Dialect
from corpus.reading.dotted_paths import value_at
from corpus.reading.example_files import MOST_BYTES, File, files_of
from corpus.reading.formats import RowFormat, format_of, row_formats, suffixes_of
from corpus.reading.rows import Row, RowOptions, wrong
from corpus.reading.skipped import Skipped

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import TaskType

EMPTY = "files without an example"
QUOTED = "files of TSV read with quotes around their fields"
TEXT = "text"  # the format of which a file is one example
_FEWEST_LABELS = {"label": 2, "tags": 2, "labels": 1}


def read_examples(config: FilesExamples) -> Splits:
    """The examples of the files that a recipe names.

    Raises:
        CorpusError: a file is not there or in two splits, a row is not what the recipe says, an example can't
            be learnt from, or the set can't; with file and line.
    """
    from model_code.task_types.task import task_named

    task, remarks = task_named(config.task), Counter[str]()
    fields = {split: _fields(config, split, task, remarks) for split in config.files}
    check_apart(config)
    rows = _Rows(config, fields, remarks)
    found = {split: _found(rows, split, task) for split in config.files}
    check_spellings([one for split in found.values() for one in split], remarks)
    splits = chosen(_divided(found, config), config)
    labels = check_labels(splits, _fewest_labels(task), "label_from" if config.label_from else "columns")
    return assembled(
        splits, labels, remarks, {}, lambda one: _group(one, config) if config.group_by else None
    )


def _fields(config: FilesExamples, split: Split, task: TaskType, remarks: Counter[str]) -> Fields:
    """The fields of a split's examples, which are those of the others in perhaps other columns.

    Raises:
        CorpusError: they can't be what the recipe says.
    """
    others = config.other_columns(split)
    key = "columns" if split == "train" else f"{split}.columns"
    from_path = field_from_path(config.label_from, task.FIELDS, config.columns | others)
    fields = Fields(
        task.FIELDS, config.columns | others, config.separator, remarks, config.names, from_path, key
    )
    if added := [name for name in others.keys() - config.columns.keys() if task.FIELDS[name].named]:
        raise CorpusError(
            f"examples: {key} names {added[0]!r}, which columns does not, so the training examples "
            "have none; name it there too, or leave it out"
        )
    return fields


def _found(rows: _Rows, split: Split, task: TaskType) -> list[ExampleWithRow]:
    """The examples of the files that are named for a split."""
    found = [example_in(row, rows.fields[split], task) for row in rows.of(split)]
    if not found:
        raise CorpusError(
            f"examples: {_named(rows.config.files[split])}: no example in it; {split} needs some"
        )
    return found


@dataclass
class _Rows:
    """The rows of the files of each split; counts in `remarks` what is unusual about files."""

    config: FilesExamples
    fields: Mapping[Split, Fields]
    remarks: Counter[str]
    contents: Contents = field(default_factory=Contents)

    def of(self, split: Split) -> Iterator[Row]:
        """The rows of the files that are named for a split."""
        named = self.config.files[split]
        if isinstance(named, str):
            for file in self._files(named, split):
                yield from self._counted(self._rows_of(file, self.fields[split]))
            return
        read = {name: list(self._files(path, split)) for name, path in named.items()}
        if len({len(several) for several in read.values()}) > 1:
            counts = ", ".join(f"{named[name]} {len(several)}" for name, several in read.items())
            raise CorpusError(f"examples: parallel texts need as many files for each field, found {counts}")
        for together in zip(*read.values(), strict=True):
            yield from parallel.read(dict(zip(read, together, strict=True)))

    def _files(self, path: str, split: Split) -> Iterator[File]:
        for file in files_of(path):
            # Where a file is an example, one that is there twice is counted as such, as in tables.
            if self._format_of(file) != TEXT:
                self.contents.check(file, split)
            if file.encoding not in ("", "utf-8"):  # Parquet has none
                self.remarks[f"files of examples in {file.encoding}"] += 1
            yield file

    def _counted(self, rows: Iterator[Row]) -> Iterator[Row]:
        is_empty = True
        for row in rows:
            is_empty = False
            yield row
        if is_empty:
            self.remarks[EMPTY] += 1

    @cached_property
    def _known(self) -> dict[str, RowFormat]:
        """The formats of files: text has a label in its path alone."""
        return {name: one for name, one in row_formats().items() if name != TEXT or self.config.label_from}

    def _format_of(self, file: File) -> str | None:
        return format_of(file.name, self.config.format, self._known)

    def _rows_of(self, file: File, fields: Fields) -> Iterator[Row]:
        config, name = self.config, self._format_of(file)
        if name is None:
            raise CorpusError(
                f"examples: {file.uri}: its name does not say what it holds (known are "
                f"{' '.join(suffixes_of(self._known))}); set examples.format"
            )
        told = {fields.from_path: label_of_path(file, config.label_from)} if fields.from_path else {}
        options = RowOptions(
            {"columns": fields.wanted},
            MOST_BYTES,
            name,
            config.header,
            config.delimiter,
            config.strip_prefix,
            self._on_dialect,
        )
        try:
            for row in self._known[name].rows(file.entry, options, None):
                yield replace(row, values={**row.values, **told}) if told else row
        except Skipped as problem:
            raise wrong(file.uri, problem.line, problem.detail) from problem

    def _on_dialect(self, dialect: Dialect) -> None:
        if dialect.is_quoted and dialect.delimiter == "\t":
            self.remarks[QUOTED] += 1


def _divided(
    found: Mapping[Split, Sequence[ExampleWithRow]], config: FilesExamples
) -> dict[Split, Sequence[ExampleWithRow]]:
    """The three splits; one that has no file is a part of the training file."""
    asked: dict[Split, float] = {"validation": config.validation_share, "test": config.test_share}
    shares = {split: share for split, share in asked.items() if split not in found}
    train = found["train"]
    groups = [_group(example, config) for example in train]
    codes = stratified_splits(strata_of([example.labels for example in train]), groups, shares, config.seed)
    parts = {
        split: [example for example, code in zip(train, codes, strict=True) if code == split]
        for split in ("train", *shares)
    }
    if empty := [split for split in shares if not parts[split]]:
        raise CorpusError(
            f"examples: {_named(config.train)}: the {len(train):,} examples with {len(set(groups)):,} "
            f"different {config.group_by or 'inputs'} can't be divided: they are too few, or one has too "
            f"many of them, and none is left for {empty[0]}; name a file for it, or give more examples"
        )
    return {split: {**found, **parts}[split] for split in SPLITS}


def _group(found: ExampleWithRow, config: FilesExamples) -> str:
    """What is never on both sides of a division: examples of one group, or with equal inputs."""
    if not config.group_by:
        return found.inputs
    try:
        value = value_at(found.row.values, str(config.group_by))
        return found.inputs if value in (None, "") else str(value)
    except Skipped:
        raise found.row.wrong(
            f"no column {config.group_by!r} to group by; there are {', '.join(found.row.values)[:300]}; "
            "correct examples.group_by"
        ) from None


def _fewest_labels(task: TaskType) -> int:
    return max(_FEWEST_LABELS.get(field.kind, 0) if field.target else 0 for field in task.FIELDS.values())


def _named(files: str | Mapping[str, str]) -> str:
    return files if isinstance(files, str) else ", ".join(files.values())
