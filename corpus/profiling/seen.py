"""All that was given, looked at: the files of each split, and the columns of the training examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpus.errors import CorpusError
from corpus.examples.splits import Split
from corpus.profiling.column import Column, columns_of
from corpus.profiling.given import Given, given
from corpus.profiling.guess import CONTENT, NAMES, Guess, guessed
from corpus.profiling.sample import MOST_BYTES, MOST_ROWS, TEXT, Advance, Sample, Values, sampled
from corpus.profiling.table import Doubt
from corpus.reading.containers import is_archive
from corpus.reading.example_files import files_of
from corpus.reading.formats import format_of, row_formats

LABELLED_FOLDERS = "folders"
PARALLEL = "parallel"
SHARES = 8  # of what is read of an archive, for each label
_FIELDS = {"seq2seq": ("source", "target"), "matching": ("first", "second")}


@dataclass(frozen=True)
class Seen:
    """What was given; a sample of each split, and the columns of the training examples."""

    given: Given
    samples: Mapping[Split, Sample]
    columns: Sequence[Column]

    @property
    def train(self) -> Sample:
        """The sample of the training examples."""
        return self.samples["train"]

    def guessed(self, told: Mapping[str, str]) -> Guess:
        """The likeliest task, as in `guess.guessed`; of files without columns by what the files are."""
        if self.train.format == LABELLED_FOLDERS:
            return Guess(
                "classification", "the folders' names are labels", {"text": "text", "label": "label"}, CONTENT
            )
        if self.train.format == PARALLEL:
            return self._of_parallel(told)
        return guessed(self.columns, told)

    def _of_parallel(self, told: Mapping[str, str]) -> Guess:
        one, other = self.given.files["train"]
        task = told.get("task") if told.get("task") in _FIELDS else "seq2seq"
        source = told.get("source", one)
        ordered = (one, other) if source == one else (other, one)
        doubts = [
            Doubt(
                "task",
                "What is to be learnt?",
                {
                    "seq2seq": "to write line n of one file from line n of the other",
                    "matching": "which lines belong together: search",
                },
                "seq2seq",
            ),
            Doubt("source", "Which file is read, to write the other?", {one: "", other: ""}, one),
        ]
        open_ = tuple(doubt for doubt in doubts if doubt.key not in told)
        if task == "matching":
            open_ = tuple(doubt for doubt in open_ if doubt.key != "source")
        columns = dict(zip(_FIELDS[str(task)], ordered, strict=True))
        return Guess(
            str(task), "line n of one file belongs to line n of the other", columns, NAMES, doubts=open_
        )


def look(paths: Sequence[str], advance: Advance = lambda rows: None) -> Seen:
    """Look at the files or the folder that somebody has.

    Raises:
        CorpusError: nothing can be made of them; with the way out.
    """
    found = given(paths)
    samples: dict[Split, Sample] = {}
    for split, files in found.files.items():
        if found.labels:
            samples[split] = _of_folders(files[0], advance)
        elif len(files) == 1:
            samples[split] = _of_archive(files[0], advance) or sampled(files[0], advance)
        else:
            samples[split] = _of_several(files, split)
    if samples["train"].format == TEXT:
        raise CorpusError(
            f"{samples['train'].path}: lines of text without columns, so no labels; name the file too that "
            "belongs to it line by line. Texts without labels are a corpus: see `collect` in docs/recipes.md"
        )
    for split, sample in samples.items():
        if sample.format != samples["train"].format:
            raise CorpusError(
                f"{sample.path} for {split} is {sample.format}, {samples['train'].path} for train is "
                f"{samples['train'].format}; write them alike, or name the training file alone"
            )
    return Seen(found, samples, columns_of(samples["train"].rows))


def _of_several(files: Sequence[str], split: Split) -> Sample:
    """Two parallel files, a row for each line.

    Raises:
        CorpusError: they are more, or have columns.
    """
    read = [next(files_of(path, MOST_BYTES)) for path in files]
    samples = [sampled(path) for path in files]
    if len(files) != 2 or any(sample.format != TEXT for sample in samples):
        raise CorpusError(
            f"{', '.join(files)}: several files for {split}; put them into a folder and name a pattern such "
            f"as 'FOLDER/*{Path(files[0]).suffix}', or call them train, dev and test"
        )
    lines = [file.text.removesuffix("\n").split("\n") for file in read]
    has_more = any(file.is_cut for file in read)
    fault = ""
    if not has_more and len(lines[0]) != len(lines[1]):
        fault = f"{len(lines[0]):,} lines in {files[0]}, {len(lines[1]):,} in {files[1]}"
    pairs = zip(*lines, strict=False)
    rows: list[Values] = [
        dict(zip(files, pair, strict=True)) for _, pair in zip(range(MOST_ROWS), pairs, strict=False)
    ]
    has_more = has_more or min(map(len, lines)) > MOST_ROWS
    encodings = tuple(dict.fromkeys(file.encoding for file in read))
    return Sample(files[0], PARALLEL, True, encodings, rows, has_more, fault, files=2)


def _of_folders(folder: str, advance: Advance) -> Sample:
    """A row for each file in a folder of folders, with the name of the one that it is in."""
    rows: list[Values] = []
    encodings: dict[str, None] = {}
    read, has_more = 0, False
    for label, file in _labelled(Path(folder)):
        if read >= MOST_BYTES or len(rows) >= MOST_ROWS:
            has_more = True
            break
        text = next(files_of(str(file), MOST_BYTES))
        encodings[text.encoding] = None
        read += len(text.text)
        rows.append({"text": text.text, "label": label})
        advance(len(rows))
    if not rows:
        raise CorpusError(f"{folder}: its folders are empty")
    return Sample(folder, LABELLED_FOLDERS, False, tuple(encodings), rows, has_more, files=len(rows))


def _of_archive(path: str, advance: Advance) -> Sample | None:
    """A row for each member of an archive of texts in folders, with the name of the one that it is in.

    None of what is no such archive: all its members have to be in folders, of two names at least.
    """
    if not is_archive(path):
        return None
    rows: list[Values] = []
    encodings: dict[str, None] = {}
    read, has_more = Counter[str](), False
    for file in files_of(path, MOST_BYTES):
        label = PurePosixPath(file.member).parent.name
        if not label or format_of(file.name, "auto", row_formats()) not in (TEXT, None):
            return None
        if len(rows) >= MOST_ROWS:
            has_more = True
            break
        if read[label] > MOST_BYTES // SHARES:  # members of one label mostly lie together
            has_more = True
            continue
        encodings[file.encoding] = None
        read[label] += len(file.text)
        rows.append({"text": file.text, "label": label})
        advance(len(rows))
    if len(read) < 2:
        return None
    return Sample(path, LABELLED_FOLDERS, False, tuple(encodings), rows, has_more, files=len(rows))


def _labelled(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below each folder with its name, one of each in turn, so that a part has all labels."""
    waiting = {
        one.name: iter(sorted(file for file in one.rglob("*.*") if file.is_file() and file.name[0] != "."))
        for one in sorted(folder.iterdir())
        if one.is_dir() and one.name[0] != "."
    }
    while waiting:
        for label in list(waiting):
            if file := next(waiting[label], None):
                yield label, file
            else:
                del waiting[label]
