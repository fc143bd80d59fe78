"""Text in files: folders, globs and buckets, in many formats, as they are or compressed or in archives.

Every file is read once, as a stream; no document larger than the limit is ever held in memory. What can't
be used is left out with its place and a reason, and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from corpus.documents import Document, Item, OnSkip
from corpus.reading.containers import Entry, OnMember, entries
from corpus.reading.formats import format_of, formats, library_versions, suffixes_of
from corpus.reading.formats.text import divided
from corpus.reading.locations import listed, opened, place_of, without_credentials
from corpus.reading.options import ReadingOptions
from corpus.reading.record import Record
from corpus.reading.skipped import UNREADABLE, Skipped, explained
from corpus.reading.text_styles import styled
from corpus.watcher import NOBODY, Watcher

_SURROGATE = re.compile("[\ud800-\udfff]")


class FilesSource(ReadingOptions):
    """Files with text in them."""

    kind: Literal["files"] = "files"
    path: str = Field(
        min_length=1,
        description="a file, a folder (read recursively), a glob, or a URL: s3://bucket/prefix, gs://, https://",
    )
    endpoint: str | None = Field(
        default=None, description="URL of an S3-compatible store; credentials come from the environment"
    )
    name: str = Field(default="files", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="licence of all documents of this source")
    max_file_bytes: int = Field(
        default=200_000_000_000, ge=1, description="most bytes read of one file, after unpacking"
    )

    @property
    def meta_keys(self) -> tuple[str, ...]:
        """What documents may have in their `meta`; pages of dumps and archives bring some of their own."""
        known = formats()
        possible = known.values() if self.format == "auto" else [known[self.format]]
        return (*self.meta_fields, *sorted({key for one in possible for key in getattr(one, "META", ())}))

    @field_validator("format")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ("auto", *formats()):
            raise ValueError(f"{name!r} is no format; known are auto, {', '.join(formats())}")
        return name

    @field_validator("path", "endpoint")
    @classmethod
    def _without_credentials(cls, url: str | None) -> str | None:
        return url and without_credentials(url)


CONFIG, CODE = FilesSource, ("corpus.reading.formats.",)


def place(config: FilesSource) -> str:
    """Where the files are on this machine."""
    return place_of(config.path, config.endpoint)


def items(config: FilesSource, known: Mapping[str, str], watcher: Watcher = NOBODY) -> Iterator[Item]:
    """The files, sorted by URI; a version is size and time of change, or a bucket's ETag.

    Raises:
        SourceError: `path` matches nothing, or can't be reached.
    """
    return listed(config.path, config.endpoint)


def read(config: FilesSource, item: Item, on_skip: OnSkip) -> Iterator[Document]:
    """The documents of a file, in the order in which they are in it.

    Raises:
        SourceError: a table lacks a column that was asked for, or a file system can't be reached.
    """

    def leave_out(uri: str, problem: Skipped) -> None:
        on_skip(uri, problem.reason, problem.detail)

    try:
        file = opened(item, config.path, config.endpoint)
        with closing(file.stream):
            for entry in entries(item.uri, file.stream, file.size, config.max_file_bytes, leave_out):
                for record in _records(entry, config, leave_out):
                    uri = _place(entry.uri, record.position)
                    try:
                        yield _document(uri, record, config, entry.changed or file.changed)
                    except Skipped as problem:
                        leave_out(uri, problem)
    except (Skipped, *UNREADABLE) as error:
        leave_out(item.uri, explained(error))


def reader_version() -> str:
    """The versions of the libraries that make text of bytes."""
    return library_versions()


def _records(entry: Entry, config: FilesSource, leave_out: OnMember) -> Iterator[Record]:
    """The records of one file or member; a damaged one ends it and not the rest of the archive."""

    def on_skipped(position: str, problem: Skipped) -> None:
        leave_out(_place(entry.uri, position), problem)

    try:
        name = format_of(entry.name, config.format, formats())
        if name is None:
            raise _of_no_type(entry.name)
        for record in formats()[name].read(entry, config, on_skipped):
            # Text files are divided while they are read, since they may be larger than the memory.
            yield from [record] if name == "text" else divided(record, config, on_skipped)
    except (Skipped, *UNREADABLE) as error:
        leave_out(entry.uri, explained(error))


def _of_no_type(name: str) -> Skipped:
    _, dot, suffix = name.lower().rpartition(".")
    found, known = dot + suffix if dot else "no suffix", " ".join(suffixes_of(formats()))
    return Skipped("unsupported type", f"{found}; known are {known}; or set `format`")


def _place(uri: str, position: str) -> str:
    return f"{uri}#{position}" if position else uri


def _document(uri: str, record: Record, config: FilesSource, changed: datetime | None) -> Document:
    text, noted = styled(record.text, config.text_style)
    text, surrogates = _without_lone_surrogates(text)
    if not text.strip():
        raise Skipped("empty", "no text in it")
    if surrogates:
        noted = {**noted, "lone_surrogates": str(surrogates)}
    return Document(
        text=text,
        source=config.name,
        uri=uri,
        license=config.license,
        collected_at=record.changed or changed,
        meta={**record.meta, **noted},
        raw=record.raw,
        encoding=record.encoding,
        extractor=record.extractor,
    )


def _without_lone_surrogates(text: str) -> tuple[str, int]:
    """Halves of surrogate pairs, which JSON can spell and no encoding can hold, joined or replaced."""
    lone = _SURROGATE.search(text)
    if not lone:
        return text, 0
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined, joined.count("\ufffd") - text.count("\ufffd")
