"""Files in files: what gz, bz2, xz, zst, zip and tar hold, as streams that can't grow without bound.

Nothing is ever extracted to the disk, so a member can't reach outside the archive; those whose names try
are left out all the same. One compression may be around an archive and one around each of its members;
archives in archives are left out.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple, Self, cast

from corpus.reading.decompression import DECOMPRESSED
from corpus.reading.skipped import UNREADABLE, Skipped, explained
from corpus.reading.system_files import is_of_the_system
from corpus.reading.times import utc

# Text that repeats itself a lot shrinks to a hundredth; what grows more than this is made to.
LARGEST_RATIO = 200
SMALL_ENOUGH = 64_000_000
BUFFER_BYTES = 1 << 17

_SHORT_NAMES = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}
_ARCHIVES = (".zip", ".tar")
_LEAVES_ARCHIVE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


class Entry(NamedTuple):
    """A file, or a member of an archive, to be read once from front to back.

    `name` tells the format and has no suffix of a compression; `seekable` is whether `stream` can go back;
    `changed` when an archive says that its member was written.
    """

    uri: str
    name: str
    stream: io.BufferedReader[Any]
    seekable: bool
    changed: datetime | None = None


class _Member(NamedTuple):
    name: str
    content: BinaryIO
    changed: datetime | None


OnMember = Callable[[str, Skipped], None]
"""Called with (uri, why) for every member that can't be used."""


class _Meter:
    """Counts what comes out of one file and stops it at a limit."""

    def __init__(self, size: int, most: int) -> None:
        self.limit = min(most, max(SMALL_ENOUGH, LARGEST_RATIO * size))
        self.size, self.count = size, 0

    @property
    def is_full(self) -> bool:
        return self.count > self.limit

    def add(self, count: int) -> None:
        self.count += count
        if self.is_full:
            detail = f"{self.size} bytes hold more than {self.limit}; what comes after is left out"
            raise Skipped("archive bomb", detail)


class _Metered(io.RawIOBase):
    """A stream that fills its reader's buffer, as long as the meter lets it and nothing is damaged."""

    def __init__(self, stream: BinaryIO, meter: _Meter) -> None:
        # Gives what there is, rather than losing it when what follows is damaged.
        self._take: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._meter = meter
        self._damage: Skipped | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._damage:
            raise self._damage
        filled = 0
        try:
            while filled < len(buffer) and (block := self._take(len(buffer) - filled)):
                buffer[filled : filled + len(block)] = block
                filled += len(block)
        except UNREADABLE as error:
            self._damage = explained(error)
            if not filled:
                raise self._damage from error
        self._meter.add(filled)
        return filled


def entries(uri: str, stream: BinaryIO, size: int, most: int, on_member: OnMember) -> Iterator[Entry]:
    """The file itself, what it holds when it is compressed, or the members of an archive.

    A zip's members come sorted by name, a tar's in its own order. An entry has to be read before the next
    one is asked for.

    Args:
        stream: the file's bytes; a zip has to be seekable.
        size: bytes of the file.
        most: bytes that may come out of it; a ratio of more than `LARGEST_RATIO` stops it earlier.

    Raises:
        Skipped: the file is no archive of the kind that its name says, or grows beyond the limit.
    """
    meter = _Meter(size, most)
    name, compression = _split(PurePosixPath(uri).name)
    if not compression and name.lower().endswith(".zip"):
        members = _zip_members(uri, stream, meter, on_member)
    elif name.lower().endswith(".tar"):
        # What passes by is counted here, what is taken out of it below.
        members = _tar_members(uri, _opened(stream, compression, _Meter(size, most)), on_member)
    elif name.lower().endswith(".zip"):
        raise Skipped("nested archive", "a zip in a compressed file; unpack it first")
    else:
        opened: io.BufferedReader[Any] = (
            _opened(stream, compression, meter)
            if compression
            else io.BufferedReader(cast(io.RawIOBase, stream), BUFFER_BYTES)
        )
        yield Entry(uri, name, opened, seekable=not compression)
        return
    for member, content, changed in members:
        name, compression = _split(PurePosixPath(member).name)
        where = f"{uri}!{member}"
        if name.lower().endswith(_ARCHIVES):
            on_member(where, Skipped("nested archive", "an archive in an archive; unpack it first"))
            continue
        try:
            yield Entry(where, name, _opened(content, compression, meter), False, changed)
        finally:
            content.close()
        if meter.is_full:
            return


def is_archive(name: str) -> bool:
    """Whether a file of this name holds others."""
    return _split(name)[0].lower().endswith(_ARCHIVES)


def _split(name: str) -> tuple[str, str]:
    """A name without the suffix of its compression, and that suffix."""
    for short, long in _SHORT_NAMES.items():
        name = name[: -len(short)] + long if name.lower().endswith(short) else name
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix.lower()) if dot + suffix.lower() in DECOMPRESSED else (name, "")


def _opened(stream: BinaryIO, compression: str, meter: _Meter) -> io.BufferedReader[Any]:
    content = DECOMPRESSED[compression](stream) if compression else stream
    return io.BufferedReader(_Metered(content, meter), BUFFER_BYTES)


def _zip_members(uri: str, stream: BinaryIO, meter: _Meter, on_member: OnMember) -> Iterator[_Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            where = f"{uri}!{info.filename}"
            if info.is_dir() or is_of_the_system(info.filename):
                continue
            if _LEAVES_ARCHIVE.search(info.filename):
                on_member(where, _outside())
            elif (info.external_attr >> 16) & 0o170000 == 0o120000:
                on_member(where, Skipped("link", "a symbolic link in an archive"))
            elif info.flag_bits & 1:
                on_member(where, Skipped("encrypted", "a member with a password; unpack the zip first"))
            else:
                try:
                    content = cast(BinaryIO, archive.open(info))
                    yield _Member(info.filename, content, _time(*info.date_time))
                except UNREADABLE as error:
                    on_member(where, explained(error))


class _Header(tarfile.TarInfo):
    """A header of a member; `tarfile` takes a damaged one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """The next header.

        Raises:
            ReadError: there is something else.
        """
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"no header of a member, {error}") from error


def _tar_members(uri: str, stream: io.BufferedReader[Any], on_member: OnMember) -> Iterator[_Member]:
    # Archives that were joined have zeros between them.
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, ignore_zeros=True) as archive:
        while (info := archive.next()) is not None:
            # The archive would keep every member that it has ever seen.
            archive.members = []  # type: ignore[attr-defined]
            where = f"{uri}!{info.name}"
            if info.isdir() or is_of_the_system(info.name):
                continue
            if _LEAVES_ARCHIVE.search(info.name):
                on_member(where, _outside())
            elif info.issym() or info.islnk():
                on_member(where, Skipped("link", f"a link to {info.linkname} in an archive"))
            elif not info.isfile() or info.issparse():
                on_member(
                    where, Skipped("not a regular file", "a device, a pipe or a sparse file in an archive")
                )
            else:
                content = cast(BinaryIO, archive.extractfile(info))
                yield _Member(info.name, content, utc(info.mtime))


def _time(*fields: int) -> datetime | None:
    """The time of a zip member, which has no zone; None for one that the calendar does not have."""
    try:
        return datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def _outside() -> Skipped:
    return Skipped("path leaves the archive", "its name is absolute or has .. in it")
