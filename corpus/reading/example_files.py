"""Files with examples, found and read whole: on disks or behind URLs, compressed, in whatever encoding.

Labelled sets fit into memory, and a mistake in one is an error, not something to leave out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from io import BufferedReader, BytesIO
from typing import NamedTuple

from corpus.documents import Item
from corpus.errors import CorpusError, SourceError
from corpus.reading.containers import Entry, entries
from corpus.reading.decoding import decode
from corpus.reading.formats import holds_text
from corpus.reading.locations import listed, opened, path_below
from corpus.reading.skipped import UNREADABLE, Skipped, explained

MOST_BYTES = 2**32  # of one file, after unpacking
_BLOCK = 1 << 20
_MARK = "\ufeff"
# How files begin that are often under another name, and what to do.
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel workbook or another zip; let its name end in .xlsx or .zip",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel workbook; let its name end in .xls",
    b"PAR1": "Parquet; let its name end in .parquet",
    b"ARROW1": "Arrow; write it as JSON lines",
    b"\xff\xff\xff\xff": "Arrow as `datasets` saves it; write it as JSON lines (Dataset.to_json)",
    b"\x1f\x8b": "compressed by gzip; let its name end in .gz, once more if it does",
    b"BZh": "compressed by bzip2; let its name end in .bz2",
    b"\xfd7zXZ\x00": "compressed by xz; let its name end in .xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; let its name end in .zst",
    b"SQLite format 3\x00": "an SQLite database; export the table as CSV",
    b"%PDF-": "a PDF",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file with `git lfs pull`",
}


class File(NamedTuple):
    """A file's address, its name without the suffix of a compression, its text, and what that was in.

    The text is without byte-order marks at the beginnings of lines, where files were joined, and its lines
    end with a line feed (and perhaps a carriage return before it). `path` is the way to it from the folder on
    that the recipe names; of a member of an archive `member` is the way within that. `is_cut` says that there
    is more of it. Of a file that is no text `raw` has the bytes.
    """

    uri: str
    name: str
    text: str
    encoding: str = "utf-8"
    path: str = ""
    member: str = ""
    is_cut: bool = False
    raw: bytes = b""

    @property
    def entry(self) -> Entry:
        """The text, in UTF-8, or the bytes, for the reader of a format."""
        held = self.raw or self.text.encode()
        return Entry(self.uri, self.name, BufferedReader(BytesIO(held)), seekable=True)


def files_of(path: str, most: int = MOST_BYTES) -> Iterator[File]:
    """The files that a path, glob or URL matches, sorted; of an archive its members.

    Args:
        most: of a longer text (after unpacking) the lines that end within so many bytes.

    Raises:
        CorpusError: there is none, or one can't be read.
    """
    for item in items_of(path):
        try:
            file = opened(item, path, None)
            with closing(file.stream):
                for entry in entries(item.uri, file.stream, file.size, MOST_BYTES, _refuse):
                    place = path_below(item.uri, path), entry.uri.removeprefix(item.uri).removeprefix("!")
                    if not holds_text(entry.name):
                        yield File(entry.uri, entry.name, "", "", *place, raw=entry.stream.read())
                        continue
                    raw = entry.stream.read(most + 1)
                    is_cut = len(raw) > most
                    decoded = _decoded(entry.uri, _whole_lines(raw[:most]) if is_cut else raw)
                    yield File(entry.uri, entry.name, *decoded, *place, is_cut)
        except CorpusError:
            raise
        except (Skipped, *UNREADABLE) as error:
            raise _unreadable(item.uri, explained(error)) from error


def digest_of(path: str) -> str:
    """sha256, in hexadecimal, of the names and bytes of the files that a path matches.

    Raises:
        CorpusError: there is none, or one can't be read.
    """
    digest = hashlib.sha256()
    for item in items_of(path):
        digest.update(f"{item.uri}\0".encode())
        try:
            with closing(opened(item, path, None).stream) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except (Skipped, OSError) as error:
            raise _unreadable(item.uri, explained(error)) from error
    return digest.hexdigest()


def items_of(path: str) -> list[Item]:
    """The files that a path, glob or URL matches, sorted.

    Raises:
        CorpusError: there is none.
    """
    try:
        return list(listed(path, None))
    except SourceError as error:
        raise CorpusError(f"examples: {str(error).removeprefix('files: ')}") from error


def _decoded(uri: str, raw: bytes) -> tuple[str, str]:
    """The text of a file, and the encoding that it was in."""
    if kind := next((kind for start, kind in _OTHER_KINDS.items() if raw.startswith(start)), ""):
        raise CorpusError(f"examples: {uri} can't be read: it is {kind}")
    try:
        text, encoding = decode(raw)
    except Skipped as problem:
        if problem.reason == "binary" and b"\0" in raw:
            line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
            raise _unreadable(uri, Skipped("binary", f"a NUL byte in line {line}; take it out")) from None
        raise _unreadable(uri, problem) from None
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text.lstrip(_MARK).replace(f"\n{_MARK}", "\n"), encoding


def _whole_lines(raw: bytes) -> bytes:
    """The beginning of a file up to its last line end; all of it where it has none."""
    end = raw.rfind(b"\n") + 1
    # In UTF-16 a line feed has two bytes.
    end += raw[end : end + 1] == b"\0" and end % 2
    return raw[:end] if end else raw


def _refuse(uri: str, problem: Skipped) -> None:
    raise _unreadable(uri, problem)


def _unreadable(uri: str, problem: Skipped) -> CorpusError:
    return CorpusError(f"examples: {uri} can't be read: {problem.reason} ({problem.detail})")
