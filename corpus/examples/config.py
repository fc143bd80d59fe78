"""What a recipe says about examples: in which files they are, or of which documents they are made."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from corpus.examples.labels import label_of, likeness
from corpus.reading.formats import row_formats
from corpus.reading.locations import without_credentials
from corpus.reading.spelling import spelled
from corpus.tokenizing.document_splits import Split
from model_code.config.strict import Config
from model_code.task_types import task_types

Columns = dict[str, str | int | list[str | int]]
# Of a label that is learnt from documents, in all, and in validation and test each.
FEWEST_DOCUMENTS, FEWEST_HELD_OUT = 4, 1
Location = Annotated[str, Field(min_length=1)]
FOLDER, LABEL = "folder", "label"  # what `label_from` may be, and the group of its pattern


class _Examples(Config):
    """What both kinds of examples share."""

    task: str = Field(description="Task type, a module of model_code/task_types: what an example holds.")
    separator: str = Field(
        ",", min_length=1, description="Stands between the labels where a column or key holds several."
    )
    label_names: dict[str, str] | tuple[str, ...] = Field(
        {},
        description="What labels are called that are written as numbers or codes: `{0: negative, 1: "
        "positive}`, or a list, from 0. Every label has to be in it.",
    )
    limit: int = Field(
        0, ge=0, description="Most training examples, every label in its share; 0: all. For short trials."
    )
    held_out_limit: int = Field(
        0, ge=0, description="Most validation examples, and most test examples, chosen likewise; 0: all."
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="Another seed gives another division and another choice."
    )

    @property
    def limits(self) -> dict[Split, int]:
        """The most examples of each split; 0: all."""
        return {"train": self.limit, "validation": self.held_out_limit, "test": self.held_out_limit}

    @property
    def names(self) -> dict[str, str]:
        """What labels are called, by how they are written."""
        named = self.label_names
        return named if isinstance(named, dict) else {str(n): name for n, name in enumerate(named)}

    @field_validator("label_names")
    @classmethod
    def _are_labels(cls, named: dict[str, str] | tuple[str, ...]) -> dict[str, str] | tuple[str, ...]:
        if not isinstance(named, dict):
            if twice := [name for name in named if named.count(name) > 1]:
                raise ValueError(f"{twice[0]!r} is there twice; a mapping may give two labels one name")
            return tuple(map(label_of, named))
        seen: dict[str, str] = {}
        for written in named:
            if (other := seen.setdefault(likeness(label_of(written)), written)) != written:
                raise ValueError(f"{other!r} and {written!r} are one label; leave one of them out")
        return {label_of(written): label_of(name) for written, name in named.items()}

    @field_validator("task")
    @classmethod
    def _known(cls, task: str) -> str:
        if task not in task_types():
            raise ValueError(f"no such task type; choose one of {', '.join(task_types())}")
        return task


class OtherColumns(Config):
    """A file whose columns are called otherwise than those of the training file."""

    path: Location = Field(description="File, glob or URL.")
    columns: Columns = Field(
        min_length=1, description="Its columns by field; those of the other fields are in `examples.columns`."
    )


class FilesExamples(_Examples):
    """Examples in files; what is not named is made of the training file by the line."""

    kind: Literal["files"] = "files"
    train: Location | dict[str, Location] = Field(
        description="File (or glob, or URL) of the training examples, also compressed; of parallel texts "
        "one for each field, as in `{source: train.en.gz, target: train.de.gz}`."
    )
    validation: Location | dict[str, Location] | OtherColumns | None = Field(
        None,
        description="Examples by which the best epoch is chosen; none: a part of the training examples. "
        "`{path: dev.csv, columns: {text: sentence}}` is a file with other columns' names.",
    )
    test: Location | dict[str, Location] | OtherColumns | None = Field(
        None,
        description="Examples that models are judged on, named likewise; none: a part of the training "
        "examples.",
    )
    format: str = Field(
        "auto",
        description="What the files hold; auto: what their names say. csv, tsv, excel, parquet, json, jsonl; "
        "conll: a word and its columns per line, blank lines between sentences; squad: SQuAD's JSON, version "
        "1 or 2; parallel: line n of one file belongs to line n of the other; text: a file is one example, "
        "with `label_from`.",
    )
    label_from: str = Field(
        "",
        description="Where labels are that no column holds: `folder`, the folder that a file is in; or a "
        "regular expression with a group `(?P<label>…)`, found in the path from the named folder on.",
    )
    delimiter: str = Field(
        "",
        pattern=r'^[^"\r\n]?$',
        description="Stands between the columns of CSV and TSV; empty: a tab in TSV, in CSV what the first "
        "line says.",
    )
    header: bool = Field(
        True, description="TSV and CSV begin with the columns' names; without, they are 1, 2, 3."
    )
    columns: Columns = Field(
        {},
        description="Column, or path of keys with dots in JSON, by field of the task; a field that is not "
        "named has a column of its own name. A list of columns is joined into a text, by line ends; for "
        "labels it is one each, with 0 or 1. In CoNLL words are column 1 and tags the last one.",
    )
    strip_prefix: str = Field(
        "", description="Taken off the beginning of every line of CoNLL, such as `en:` in WikiANN."
    )
    group_by: str | int = Field(
        "",
        description="Column whose values are never on both sides of a division; empty: each example alone, "
        "as are those without a value.",
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.5, description="Part of the training file for validation where no file is named."
    )
    test_share: float = Field(
        0.1, gt=0, lt=0.5, description="Part of the training file for the test where no file is named."
    )

    @property
    def files(self) -> dict[Split, str | dict[str, str]]:
        """The named files by split."""
        return {split: _named(files) for split, files in self._by_split.items() if files is not None}

    @property
    def _by_split(self) -> dict[Split, str | dict[str, str] | OtherColumns | None]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def other_columns(self, split: Split) -> Columns:
        """The columns of a split that are called otherwise than in the training file, by field."""
        files = self._by_split[split]
        return files.columns if isinstance(files, OtherColumns) else {}

    @property
    def paths(self) -> list[str]:
        """Every path that is named."""
        return [path for files in self.files.values() for path in _paths(files)]

    @field_validator("format")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = ("auto", "parallel", *row_formats())
        if name not in known:
            raise ValueError(f"{name!r} is no format; known are {', '.join(known)}")
        return name

    @field_validator("train", "validation", "test")
    @classmethod
    def _without_credentials(
        cls, files: str | dict[str, str] | OtherColumns | None
    ) -> str | dict[str, str] | OtherColumns | None:
        for path in _paths(_named(files or {})):
            without_credentials(path)
        return files

    @field_validator("label_from")
    @classmethod
    def _says_where(cls, stated: str) -> str:
        if stated in ("", FOLDER):
            return stated
        try:
            groups = re.compile(stated).groupindex
        except re.error as error:
            raise ValueError(f"no regular expression ({error}); give {FOLDER}, or correct it") from error
        if LABEL not in groups:
            raise ValueError(
                f"give {FOLDER}, or a regular expression with a group (?P<{LABEL}>…) around the label"
            )
        return stated

    @model_validator(mode="after")
    def _no_file_is_in_two_splits(self) -> Self:
        if twice := [path for path in self.paths if self.paths.count(path) > 1]:
            raise ValueError(
                f"{twice[0]} is named twice; what is learnt can't judge, so give other examples, or leave "
                "validation and test out and they are made of the training file"
            )
        return self

    @model_validator(mode="after")
    def _files_fit_the_format(self) -> Self:
        for split, files in self.files.items():
            if isinstance(files, dict) != isinstance(self.train, dict):
                raise ValueError(
                    f"{split} is named otherwise than train; name one file for both (where it has other "
                    "columns with `path` and `columns`), or one a field"
                )
            if isinstance(files, dict) and (self.format not in ("auto", "parallel") or len(files) < 2):
                raise ValueError(f"{split} names files by field, which is for two or more of format parallel")
            if isinstance(files, str) and self.format == "parallel":
                raise ValueError(f"{split} names one file; parallel texts need a file for each field")
        if self.delimiter and self.format not in ("auto", "csv", "tsv"):
            raise ValueError(f"delimiter is for CSV and TSV, format is {self.format}; leave one out")
        if self.label_from and isinstance(self.train, dict):
            raise ValueError(
                "label_from is for files with all of an example, not for parallel ones; leave it out"
            )
        if self.format == "text" and not self.label_from:
            raise ValueError("format text has no column for a label: set label_from, or another format")
        return self


def _named(files: str | dict[str, str] | OtherColumns) -> str | dict[str, str]:
    return files.path if isinstance(files, OtherColumns) else files


def _paths(files: str | dict[str, str]) -> list[str]:
    return [files] if isinstance(files, str) else list(files.values())


class DocumentsExamples(_Examples):
    """Examples made of the corpus' documents, in the corpus' own division.

    A document offers `text`, `first_sentence`, `rest` (the text without it) and every key of its `meta`.
    """

    kind: Literal["documents"] = "documents"
    columns: dict[str, str | list[str]] = Field(
        {},
        description="Part of a document (`text`, `first_sentence`, `rest`) or key of its `meta`, by field of "
        "the task; a field that is not named is the part of its own name. A list of keys is joined into a "
        "text, by line ends; for labels it is one each, with 0 or 1.",
    )
    min_words: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {},
        description="Fewest words (by white space) of a text, by field of the task; shorter ones are "
        "left out.",
    )
    max_words: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="Most words (by white space) of a text, by field of the task; longer ones are left out.",
    )
    only: tuple[str, ...] = Field((), description="Labels to use; empty: all with enough documents.")
    mask_names: bool = Field(False, description="Replace the labels' names in the texts by the mask token.")
    aliases: dict[str, tuple[Annotated[str, Field(pattern=r"\S")], ...]] = Field(
        {}, description="Other names of a label, masked too."
    )
    min_documents: int = Field(
        100, ge=FEWEST_DOCUMENTS, description="Labels with fewer documents are left out and named."
    )
    min_held_out: int = Field(
        5,
        ge=FEWEST_HELD_OUT,
        description="Labels with fewer documents in validation or test are left out and named.",
    )
    max_documents: int = Field(2000, ge=4, description="Larger labels are sampled down to this many.")
    summaries: bool = Field(
        False, description="Train also on the first sentence of each text alone, the length of a question."
    )

    @field_validator("only")
    @classmethod
    def _spelled_as_labels(cls, only: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(spelled, only))

    @field_validator("aliases")
    @classmethod
    def _named_as_labels(cls, aliases: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {spelled(label): names for label, names in aliases.items()}


ExamplesConfig = Annotated[FilesExamples | DocumentsExamples, Field(discriminator="kind")]
