"""Refuses a file that serves training and evaluation: what is learnt can't judge.

Files are compared as they are found, not as they are named: by device and number on a disk, which also sees
through links, other spellings and patterns, and else by their address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from corpus.errors import CorpusError, SourceError
from corpus.examples.config import FilesExamples
from corpus.examples.splits import Split
from corpus.reading.example_files import File, items_of
from corpus.reading.locations import identity_of, listed


class Contents:
    """What files hold: a copy under another name, or in an archive, is the same file."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[str, Split]] = {}

    def check(self, file: File, split: Split) -> None:
        """Note a file of a split.

        Raises:
            CorpusError: one with the same text is in another split.
        """
        text = file.text.replace("\r\n", "\n").strip()
        if not (held := file.raw or text.encode("utf-8", "surrogatepass")):
            return
        digest = blake2b(held, digest_size=16).digest()
        uri, other = self._seen.setdefault(digest, (file.uri, split))
        if other != split:
            raise CorpusError(
                f"examples: {uri} of {other} and {file.uri} of {split} hold the same; what is learnt can't "
                "judge: give other examples, or leave validation and test out and they are made of the "
                "training file"
            )


class _Named(NamedTuple):
    """A file and the key of the recipe that names it."""

    uri: str
    key: str
    path: str


def check_apart(config: FilesExamples) -> None:
    """Look where all files of examples are.

    Raises:
        CorpusError: one is named twice, by two splits or within one; or a path matches none.
    """
    seen: dict[object, _Named] = {}
    for file in _named(config):
        identity = identity_of(file.uri)
        if (other := seen.setdefault(identity, file)) is not file:
            alias = "" if other.uri == file.uri else f", under the name {other.uri} too"
            if other.key == file.key:
                raise CorpusError(
                    f"examples: {file.uri} is in {file.key} ({file.path}) twice{alias}; take one away, or "
                    "its examples count double"
                )
            keys = f"{other.key} ({other.path}) and in {file.key} ({file.path})"
            raise CorpusError(
                f"examples: {file.uri} is in {keys}{alias}; what is learnt can't judge: give other examples, "
                "narrow the pattern, or leave validation and test out and they are made of the training file"
            )


def also_collected(config: FilesExamples, sources: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each file of the examples that judge which the corpus is made of too.

    That is no error: the texts are learnt without their labels. But it flatters the figures.

    Args:
        config: the examples; their files are there.
        sources: name and path, on this machine, of the sources of files.
    """
    judging = {identity_of(file.uri): file for file in _named(config) if ".train" not in file.key}
    for name, path in sources.items():
        with suppress(SourceError):  # collect says what is wrong with its path
            for identity in {identity_of(item.uri) for item in listed(path, None)} & judging.keys():
                file = judging[identity]
                yield (
                    f"{file.key} {file.uri} is collected too (collect.sources, {name}), so the model learns "
                    "the texts that it is judged by, without their labels; narrow the source's path"
                )


def _named(config: FilesExamples) -> Iterator[_Named]:
    for split, files in config.files.items():
        for field, path in {"": files}.items() if isinstance(files, str) else files.items():
            key = f"examples.{split}.{field}".removesuffix(".")
            yield from (_Named(item.uri, key, path) for item in items_of(path))
