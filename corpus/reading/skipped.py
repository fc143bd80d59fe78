"""Why something could not be used: a short class that is counted, and a detail for who wants to know."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib

import pyarrow as pa
import zstandard

from corpus.errors import SourceError

# What reading a damaged file raises, from the libraries that take files apart.
UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError, MemoryError),
    *(zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, pa.ArrowException),
    zstandard.ZstdError,
)
# The libraries say this about files that end too early or hold something else.
_DAMAGED = (
    *(EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, pa.ArrowInvalid),
    zstandard.ZstdError,
)


class Skipped(Exception):
    """A record, or a file from here on, can't be used.

    Args:
        reason: a class such as "too large"; few, short and stable, because they are counted.
        detail: what was found, and where there is one, the way out.
        line: where in the file, from 1; 0: it has no lines, or who asks knows.
    """

    def __init__(self, reason: str, detail: str, line: int = 0) -> None:
        super().__init__(reason, detail, line)
        self.reason, self.detail, self.line = reason, detail, line


def explained(error: BaseException) -> Skipped:
    """The same for any of `UNREADABLE`, which come from the libraries that read files.

    Raises:
        SourceError: it was one, about all of the source and not about this file.
    """
    if isinstance(error, SourceError):
        raise error
    if isinstance(error, Skipped):
        return error
    if isinstance(error, PermissionError):
        return Skipped("no permission", "the file may not be read by this user")
    if isinstance(error, FileNotFoundError):
        return Skipped("unreadable", "the file is gone, or its name is not UTF-8")
    # Decompressors raise OSError without a number; those of the operating system have one.
    if isinstance(error, _DAMAGED) or (isinstance(error, OSError) and error.errno is None):
        return Skipped("damaged", str(error) or "the file ends too early")
    return Skipped("unreadable", str(error) or type(error).__name__)
