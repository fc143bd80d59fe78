"""Streams out of compressed ones: gzip, bzip2, xz and Zstandard, of as many members as a file has.

Tools write several members into one file (pigz, pbzip2, pzstd, `cat a.gz b.gz`). All of them are read; what
is behind the last one and no padding is damage, never passed over.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, Protocol, cast

import zstandard

from corpus.reading.skipped import Skipped

# The longest window that the format's tools write (`zstd --long=31`): a reader has to hold so many bytes.
LONGEST_WINDOW = 1 << 31
_BLOCK = 1 << 15
# Tapes fill blocks with zeros, and some servers end every body with a line.
_PADDING = b"\0\r\n"
# A byte of Zstandard can become 32 kB at once, whatever one asks for.
_ZSTD_BYTES = 1 << 11


class _Decompressor(Protocol):
    """One compressed member, as `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` read it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipMember:
    """One member of gzip."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most `max_length` bytes."""
        block = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self.needs_input = not self._member.unconsumed_tail and len(block) < max_length
        return block


class _ZstdFrame:
    """One frame of Zstandard."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW).decompressobj()
        self._waiting = b""

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self._waiting

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Somewhat more than `max_length` at most; the rest of `data` waits for the next call."""
        waiting = self._waiting + data
        now, self._waiting = waiting[:_ZSTD_BYTES], waiting[_ZSTD_BYTES:]
        try:
            return self._frame.decompress(now)
        except zstandard.ZstdError as error:
            if "ictionary" in str(error):
                raise Skipped(
                    "needs a dictionary",
                    "it was compressed with one (zstd -D); decompress it with that first",
                ) from error
            raise


class _Compression(NamedTuple):
    """A compression: what files begin with, and what reads a member of one."""

    name: str
    marks: tuple[bytes, ...]
    new: Callable[[], _Decompressor]


class _Joined(io.RawIOBase):
    """What the members of a stream hold, one after the other."""

    def __init__(self, stream: BinaryIO, compression: _Compression) -> None:
        self._stream, self._compression = stream, compression
        self._member = compression.new()
        self._ready = b""
        self._begun = self._ended = False

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        """Some of the next bytes; none at the end.

        Raises:
            EOFError: the last member is not whole.
        """
        while not (self._ready or self._ended):
            self._ready = self._next(size)
        block, self._ready = self._ready[:size], self._ready[size:]
        return block

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self.read1(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def _next(self, size: int) -> bytes:
        if self._member.eof:
            behind = self._member.unused_data or self._stream.read(_BLOCK)
            while behind and not (following := behind.lstrip(_PADDING)):
                behind = self._stream.read(_BLOCK)
            if not behind:
                self._ended = True
                return b""
            self._member = self._compression.new()
            return self._member.decompress(following, size)
        data = self._stream.read(_BLOCK) if self._member.needs_input else b""
        if self._member.needs_input and not data:
            raise EOFError("it ends before the end of the compressed data")
        if not self._begun and not data.startswith(
            tuple(mark[: len(data)] for mark in self._compression.marks)
        ):
            raise Skipped(
                "not compressed", f"its name says {self._compression.name}, and it is not; rename it"
            )
        self._begun = True
        return self._member.decompress(data, size)


def _joined(compression: _Compression) -> Callable[[BinaryIO], BinaryIO]:
    return lambda stream: cast(BinaryIO, _Joined(stream, compression))


_SKIPPED_FRAMES = [bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)]
DECOMPRESSED: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": _joined(_Compression("gzip", (b"\x1f\x8b",), _GzipMember)),
    ".bz2": _joined(_Compression("bzip2", (b"BZh",), bz2.BZ2Decompressor)),
    ".xz": _joined(_Compression("xz", (b"\xfd7zXZ\0",), lzma.LZMADecompressor)),
    ".zst": _joined(_Compression("zstd", (b"\x28\xb5\x2f\xfd", *_SKIPPED_FRAMES), _ZstdFrame)),
}
"""Suffix -> what makes the stream of a file's bytes one of what they hold. Reading raises `UNREADABLE`."""
