"""Text in local files: one document per record, read as a stream, with a reason for all that is left out.

`.txt` and `.md` are one document each; `.jsonl`, `.csv` and `.parquet` one per row. All but
Parquet may be inside `.gz`, `.zst` or `.zip`. No file is ever held in memory, and no document
larger than the limit is, compressed or not.
"""

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from tasks.documents import Document, OnSkip
from tasks.errors import SourceError

_WHOLE = {".txt", ".md"}
_ROWS = {".jsonl", ".csv", ".parquet"}
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


class FilesSource(BaseModel):
    """Local text files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["files"] = "files"
    path: str = Field(min_length=1, description="a file, a folder (read recursively) or a glob")
    name: str = Field(default="files", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="licence of all documents of this source")
    text_field: str = Field(default="text", min_length=1, description="key or column that holds the text")
    meta_fields: tuple[str, ...] = Field(
        default=(), description="keys or columns copied into the documents' `meta`: labels, groups"
    )
    max_document_bytes: int = Field(default=10_000_000, ge=1, description="larger documents are left out")


class _Entry(NamedTuple):
    """A file, or a member of a zip, as a stream that can be opened again."""

    uri: str
    suffix: str
    open: Callable[[], BinaryIO]


class _Record(NamedTuple):
    """A text as a reader found it."""

    uri: str
    text: str
    meta: dict[str, str]


class _BadRecord(Exception):
    """One record, or what is left of the file, can't be used; the message says why."""


def documents(config: FilesSource, skipped: OnSkip) -> Iterator[Document]:
    """All documents in the order of paths and rows; `skipped` hears of every file or row left out.

    Raises:
        SourceError: `path` matches nothing, or a table lacks a column that was asked for.
    """
    for path in _paths(config.path):
        try:
            changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
            for entry in _entries(path):
                for uri, text, meta in _records(entry, config, skipped):
                    if text.strip():
                        yield Document(text, config.name, uri, config.license, changed, meta)
                    else:
                        skipped(uri, "empty")
        except SourceError:
            raise
        except (_BadRecord, *_UNREADABLE) as error:
            skipped(str(path), _reason(error))


def fingerprint(config: FilesSource) -> str:
    """Changes when the config, or the name, time or content of a file does.

    Raises:
        SourceError: `path` matches nothing.
    """
    digest = sha256(config.model_dump_json().encode())
    for path in _paths(config.path):
        digest.update(f"\n{path} ".encode("utf-8", "surrogateescape"))
        try:
            digest.update(f"{int(path.stat().st_mtime)} ".encode())
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            digest.update(_reason(error).encode())
    return digest.hexdigest()


def _paths(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    found = [path] if path.exists() else list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    files = {file for top in found for file in ([top] if not top.is_dir() else top.rglob("*"))}
    paths = sorted(file for file in files if not file.is_dir())
    if not paths:
        raise SourceError(f"files: nothing matches {pattern!r}; give an existing file, folder or glob")
    return paths


def _entries(path: Path) -> Iterator[_Entry]:
    name, suffix = str(path), path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    if suffix == ".gz":
        yield _Entry(name, inner, lambda: cast(BinaryIO, gzip.GzipFile(path)))
    elif suffix == ".zst":
        yield _Entry(name, inner, lambda: _zstandard(path))
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for member in sorted(info.filename for info in archive.infolist() if not info.is_dir()):
                # The default binds this member, not the last one of the loop.
                def opened(member: str = member) -> BinaryIO:
                    return cast(BinaryIO, archive.open(member))

                yield _Entry(f"{name}!{member}", Path(member).suffix.lower(), opened)
    else:
        yield _Entry(name, suffix, lambda: path.open("rb"))


def _zstandard(path: Path) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd")))


def _records(entry: _Entry, config: FilesSource, skipped: OnSkip) -> Iterator[_Record]:
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet, **dict.fromkeys(_WHOLE, _whole)}
    if entry.suffix not in readers:
        known = " ".join(sorted(_WHOLE | _ROWS))
        skipped(
            entry.uri, f"unsupported type {entry.suffix or '(none)'}; known are {known}, also in gz, zst, zip"
        )
        return
    try:
        yield from readers[entry.suffix](entry, config, skipped)
    except SourceError:
        raise
    except (_BadRecord, *_UNREADABLE) as error:
        skipped(entry.uri, _reason(error))


def _whole(entry: _Entry, config: FilesSource, skipped: OnSkip) -> Iterator[_Record]:
    with entry.open() as stream:
        content = stream.read(config.max_document_bytes + 1)
    if len(content) > config.max_document_bytes:
        raise _BadRecord(_too_large(config))
    yield _Record(entry.uri, _decoded(content), {})


def _jsonl(entry: _Entry, config: FilesSource, skipped: OnSkip) -> Iterator[_Record]:
    with entry.open() as stream:
        for number, line in enumerate(_lines(stream, config.max_document_bytes), start=1):
            uri = f"{entry.uri}#{number}"
            try:
                if line is None:
                    raise _BadRecord(_too_large(config))
                text = _decoded(line)
                if text.strip():
                    yield _json_record(uri, text, config)
            except _BadRecord as error:
                skipped(uri, str(error))


def _json_record(uri: str, line: str, config: FilesSource) -> _Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadRecord(f"not JSON: {error}") from error
    field = config.text_field
    if not isinstance(record, dict) or field not in record:
        keys = ", ".join(record) if isinstance(record, dict) else type(record).__name__
        raise _BadRecord(f"no field {field!r}; found {keys}")
    if not isinstance(record[field], str):
        raise _BadRecord(f"field {field!r} is {type(record[field]).__name__}, not a string")
    return _Record(uri, record[field], _meta(record, config))


def _meta(row: Mapping[str, object], config: FilesSource) -> dict[str, str]:
    """The wanted fields as text; one that is missing or null is left out."""
    found = {name: row.get(name) for name in config.meta_fields}
    return {name: str(value) for name, value in found.items() if value is not None}


def _csv(entry: _Entry, config: FilesSource, skipped: OnSkip) -> Iterator[_Record]:
    with entry.open() as stream:
        header = next(csv.reader([_decoded(stream.readline(config.max_document_bytes)).rstrip("\r\n")]), [])
    wanted = _required_columns(entry.uri, config, header)
    ragged: list[str] = []

    def leave_out(row: pa_csv.InvalidRow) -> str:
        ragged.append(f"has {row.actual_columns} columns, the header {row.expected_columns}")
        return "skip"

    with entry.open() as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(block_size=config.max_document_bytes, use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=leave_out),
            convert_options=pa_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
        number = 0
        for batch in reader:
            for row in batch.to_pylist():
                number += 1
                yield _Record(f"{entry.uri}#{number}", row[config.text_field], _meta(row, config))
            for reason in ragged:
                skipped(entry.uri, f"a row near {number} {reason}")
            ragged.clear()


def _parquet(entry: _Entry, config: FilesSource, skipped: OnSkip) -> Iterator[_Record]:
    if entry.uri.endswith((".gz", ".zst")) or "!" in entry.uri:
        raise _BadRecord("a Parquet file inside a compressed one; unpack it first")
    with entry.open() as stream:
        file = pq.ParquetFile(stream)
        wanted = _required_columns(entry.uri, config, file.schema_arrow.names)
        kind = file.schema_arrow.field(config.text_field).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise SourceError(f"{entry.uri}: column {config.text_field!r} holds {kind}, not text")
        number = 0
        for batch in file.iter_batches(1024, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                uri, text = f"{entry.uri}#{number}", row[config.text_field] or ""
                if len(text.encode()) > config.max_document_bytes:
                    skipped(uri, _too_large(config))
                else:
                    yield _Record(uri, text, _meta(row, config))


def _required_columns(uri: str, config: FilesSource, columns: list[str]) -> list[str]:
    for setting, field in [
        ("text_field", config.text_field),
        *(("meta_fields", f) for f in config.meta_fields),
    ]:
        if field not in columns:
            raise SourceError(
                f"{uri}: no column {field!r}; the columns are {', '.join(columns) or '(none)'}; set {setting}"
            )
    return list(dict.fromkeys([config.text_field, *config.meta_fields]))


def _lines(stream: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """Lines without holding more than `limit` bytes; None for one that is longer."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(limit)
        yield None


def _decoded(content: bytes) -> str:
    if b"\0" in content:
        raise _BadRecord("binary, not text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _BadRecord(f"not UTF-8: byte 0x{content[error.start]:02x} at {error.start}") from error


def _too_large(config: FilesSource) -> str:
    return f"larger than max_document_bytes ({config.max_document_bytes})"


def _reason(error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, EOFError | zlib.error | zipfile.BadZipFile | gzip.BadGzipFile):
        return f"damaged or truncated archive: {error}"
    return str(error) if isinstance(error, _BadRecord) else f"unreadable: {error}"
