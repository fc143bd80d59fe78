"""Files with examples, found and read whole: on disks or behind URLs, compressed, in whatever encoding.

Labelled sets fit into memory, and a mistake in one is an error, not something to leave out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from tasks.documents import Item
from tasks.errors import SourceError, StageError
from tasks.sources.containers import entries
from tasks.sources.decoding import decode
from tasks.sources.left_out import UNREADABLE, LeftOut, explained
from tasks.sources.locations import listed, opened

MOST_BYTES = 2**32  # of one file, after unpacking
_BLOCK = 1 << 20


class File(NamedTuple):
    """A file's address, its name without the suffix of a compression, and its text without a BOM."""

    uri: str
    name: str
    text: str


def files_of(path: str) -> Iterator[File]:
    """The files that a path, glob or URL matches, sorted; of an archive its members.

    Raises:
        StageError: there is none, or one can't be read.
    """
    for item in _items(path):
        try:
            file = opened(item, path, None)
            with closing(file.stream):
                for entry in entries(item.uri, file.stream, file.size, MOST_BYTES, _refuse):
                    yield File(entry.uri, entry.name, decode(entry.stream.read()).text)
        except StageError:
            raise
        except (LeftOut, *UNREADABLE) as error:
            raise _unreadable(item.uri, explained(error)) from error


def digest_of(path: str) -> str:
    """sha256, in hexadecimal, of the names and bytes of the files that a path matches.

    Raises:
        StageError: there is none, or one can't be read.
    """
    digest = hashlib.sha256()
    for item in _items(path):
        digest.update(f"{item.uri}\0".encode())
        try:
            with closing(opened(item, path, None).stream) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except (LeftOut, OSError) as error:
            raise _unreadable(item.uri, explained(error)) from error
    return digest.hexdigest()


def _items(path: str) -> list[Item]:
    try:
        return list(listed(path, None))
    except SourceError as error:
        raise StageError(f"examples: {str(error).removeprefix('files: ')}") from error


def _refuse(uri: str, problem: LeftOut) -> None:
    raise _unreadable(uri, problem)


def _unreadable(uri: str, problem: LeftOut) -> StageError:
    return StageError(f"examples: {uri} can't be read: {problem.reason} ({problem.detail})")
