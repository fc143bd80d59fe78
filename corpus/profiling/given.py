"""Which files are for what: training, validation and test by their names, and what belongs together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpus.errors import CorpusError
from corpus.examples.splits import SPLITS, Split
from corpus.reading.locations import is_url
from corpus.reading.system_files import is_of_the_system

_NAMES: Mapping[Split, frozenset[str]] = {
    "train": frozenset(["train", "training", "trn"]),
    "validation": frozenset(["validation", "valid", "val", "dev", "devel", "development", "eval"]),
    "test": frozenset(["test", "tst", "testing"]),
}
_SOURCES = {"en", "eng", "english", "src", "source"}
_NOT_DATA = re.compile(
    r"(readme|licen[cs]e|copying|changelog|notice)\b.*|.*\.(md|py|ya?ml|html?|pdf)", re.IGNORECASE
)


@dataclass(frozen=True)
class Given:
    """The files of each split; two of one split are parallel.

    `beside` are those that nobody named and that stand beside the one that was. `labels` are the folders
    whose names are labels, where the one path is of their parent.
    """

    files: Mapping[Split, Sequence[str]]
    beside: Sequence[str] = ()
    labels: Sequence[str] = ()


def given(paths: Sequence[str]) -> Given:
    """What was given: a file (with those beside it that belong to it), several, or a folder.

    Raises:
        CorpusError: a path is not there, or a folder has nothing in it that can be told.
    """
    for path in paths:
        if not is_url(path) and not Path(path).exists() and not any(mark in path for mark in "*?["):
            raise CorpusError(f"{path}: there is no such file or folder")
    if len(paths) > 1:
        return Given(_by_split(paths))
    path = paths[0]
    if not is_url(path) and Path(path).is_dir():
        return _in_folder(Path(path))
    split = split_of(path)
    if split != "train" or is_url(path):
        return Given({"train": [path]})
    parent, suffix = Path(path).parent, PurePosixPath(path).suffix
    siblings = [
        str(one) for one in _children(parent) if one.is_file() and one.suffix == suffix and str(one) != path
    ]
    found = _by_split([path, *(one for one in siblings if split_of(one) in ("validation", "test"))])
    single = {name: files for name, files in found.items() if len(files) == 1}
    return Given(single, [one for name, files in single.items() if name != "train" for one in files])


def split_of(path: str) -> Split | None:
    """The split that a file's name says, if it does."""
    parts = set(re.split(r"[^a-z]+", PurePosixPath(path).name.lower()))
    return next((split for split in SPLITS if parts & _NAMES[split]), None)


def _by_split(paths: Iterable[str]) -> dict[Split, list[str]]:
    """Files by what their names say; those that say nothing are for training."""
    files: dict[Split, list[str]] = {}
    for path in paths:
        files.setdefault(split_of(path) or "train", []).append(path)
    if "train" not in files:
        first = next(iter(files))
        files["train"] = files.pop(first)
    order = [_language(path) for path in files["train"]]
    return {
        split: sorted(
            files[split], key=lambda path: order.index(_language(path)) if _language(path) in order else 0
        )
        for split in SPLITS
        if split in files
    }


def _language(path: str) -> tuple[str, ...]:
    """What a file's name says beside its split, such as the language of one of two parallel files."""
    known = frozenset[str]().union(*_NAMES.values())
    return tuple(part for part in re.split(r"[^a-z]+", PurePosixPath(path).name.lower()) if part not in known)


def _in_folder(folder: Path) -> Given:
    children = _children(folder)
    files = [str(one) for one in children if one.is_file() and not _NOT_DATA.fullmatch(one.name)]
    folders = [one for one in children if one.is_dir()]
    if not files and len(folders) > 1:
        by_split = {split: str(one) for one in reversed(folders) if (split := split_of(one.name))}
        if "train" in by_split:  # train/pos/…, train/neg/…, test/…
            labels = [one.name for one in _children(Path(by_split["train"])) if one.is_dir()]
            return Given({split: [by_split[split]] for split in SPLITS if split in by_split}, labels=labels)
        return Given({"train": [str(folder)]}, labels=[one.name for one in folders])
    if not files:
        raise CorpusError(f"{folder}: no file of examples in it, and no folders whose names are labels")
    splits = {split_of(one) for one in files}
    suffixes = {Path(one).suffix for one in files}
    if len(files) > 2 and splits == {None} and len(suffixes) == 1:
        return Given({"train": [str(folder / f"*{suffixes.pop()}")]})
    # Of two parallel files the English one, or the one that is called so, is the source.
    return Given(_by_split(sorted(files, key=lambda path: not _SOURCES & set(_language(path)))))


def _children(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir())
    return [one for one in found if not one.name.startswith(".") and not is_of_the_system(str(one))]
