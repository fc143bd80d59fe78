"""Where files are: a path, a folder, a glob, or a URL of any file system that fsspec knows.

Access to buckets is configured outside recipes, as fsspec reads it: the provider's own variables
(AWS_ACCESS_KEY_ID, ...), or FSSPEC_S3_ANON=true and the like. A file's version is its size and time of
change, a bucket object's its ETag. A file's state is when its entry on the disk was last written, which no
program sets: another content of the same size and time is noticed too.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

import fsspec
from fsspec.config import conf

from corpus.documents import Item
from corpus.errors import SourceError
from corpus.proxies import reach_directly, refuse_socks
from corpus.reading.skipped import Skipped
from corpus.reading.system_files import is_of_the_system
from corpus.reading.times import utc

# Where the clients for buckets look, unless `endpoint` says otherwise.
_BUCKETS = {
    "s3": "s3.amazonaws.com",
    "s3a": "s3.amazonaws.com",
    "gs": "storage.googleapis.com",
    "gcs": "storage.googleapis.com",
    "az": "blob.core.windows.net",
    "abfs": "blob.core.windows.net",
}
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "sha", "blob_id")
# What decides, beside the URL, which store it is about.
_STORES = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "STORAGE_EMULATOR_HOST"),
    "AZURE_STORAGE_ACCOUNT_NAME",
)
_ADDRESS = ("endpoint_url", "client_kwargs", "account_name", "host", "port")
_MAGIC = re.compile(r"[*?[]")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


class Opened(NamedTuple):
    """A file to be read, with its size in bytes and the time of its last change."""

    stream: BinaryIO
    size: int
    changed: datetime | None


def is_url(path: str) -> bool:
    """Whether `path` is not on this machine's disks."""
    return "://" in path


def without_credentials(url: str) -> str:
    """The URL or path, which is written into ledgers, manifests and addresses.

    Raises:
        ValueError: there is a user or a password in it.
    """
    parts = urlsplit(url)
    # Elsewhere a name before the host is no secret (sftp://), or a part of the address (github://).
    secret = parts.username if parts.scheme in ("http", "https") else parts.password
    if secret and parts.scheme != "github":
        raise ValueError("a URL with a user or password in it; put credentials into the environment")
    return url


def place_of(path: str, endpoint: str | None) -> str:
    """Where `path` is: absolute and without links up to its first wildcard; a URL with what the environment
    says of its store.

    Raises:
        SourceError: no installed package knows such URLs.
    """
    if not is_url(path):
        fixed = _fixed_part(path)
        return str(fixed.resolve() / Path(path).expanduser().relative_to(fixed))
    try:
        system, inner = _file_system(path, endpoint)
    except Exception as error:  # every file system has errors of its own
        raise _unreachable(path, error) from error
    stated = {name: os.environ[name] for name in _STORES if name in os.environ and not endpoint}
    protocol = path.partition("://")[0]
    stated |= {name: str(value) for name, value in conf.get(protocol, {}).items() if name in _ADDRESS}
    # Of a URL in another (zip://*::data.zip) the inner one may be relative.
    here = str(Path.cwd()) if "::" in path else ""
    return json.dumps(
        [system.unstrip_protocol(inner), stated, here],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )


def listed(path: str, endpoint: str | None) -> Iterator[Item]:
    """The files that `path` matches, sorted; hidden ones are passed over as a shell does.

    Raises:
        SourceError: there is none, or the file system can't be reached.
    """
    try:
        found = _remote_items(path, endpoint) if is_url(path) else _local_items(path)
    except (OSError, ValueError) as error:  # too long a name, a folder that may not be read, http://[::1
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise SourceError(f"files: {path[:200]!r} can't be looked for: {reason}") from error
    if not found:
        raise SourceError(f"files: nothing matches {path!r}; give an existing file, folder, glob or URL")
    yield from sorted(found)


def opened(item: Item, path: str, endpoint: str | None) -> Opened:
    """The file of an item that was listed for `path`.

    Raises:
        Skipped: it is a link that leads out of the folder, or no regular file (which might block for ever).
        OSError: it can't be opened.
        SourceError: the file system can't be reached.
    """
    return _open_remote(item.uri, endpoint) if is_url(item.uri) else _open_local(Path(item.uri), path)


def identity_of(uri: str) -> object:
    """Equal for two names of one file: links, patterns and spellings of its path lead to the same."""
    try:
        found = Path(uri.removeprefix("file://")).stat()
    except (OSError, ValueError):
        return uri  # a URL, or a name that is no longer there
    return found.st_dev, found.st_ino


def path_below(uri: str, pattern: str) -> str:
    """The path of a listed file from the folder on that its pattern names or begins with: `pos/1.txt`."""
    path = uri.partition("://")[2] if is_url(pattern) else uri
    if is_url(pattern):
        spelt = pattern.partition("://")[2].rstrip("/")
        fixed = _MAGIC.split(spelt)[0]
        folder = spelt if fixed == spelt != path else fixed.rpartition("/")[0]
    else:
        named = Path(pattern).expanduser()
        folder = str(named if named.is_dir() else _fixed_part(pattern))
    return path.removeprefix(f"{folder.rstrip('/')}/")


def _local_items(pattern: str) -> list[Item]:
    path = Path(pattern).expanduser()
    if path.exists() or not path.anchor:
        found = [path] if path.exists() else list(Path().glob(pattern))
    else:
        found = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    files: set[Path] = set()
    for top in found:
        if top == path or not _is_hidden(top, path):
            is_link = top.is_symlink() and top != path
            inside = _walk(top) if top.is_dir() and not is_link else [top]
            files.update(file for file in inside if file == path or not _is_added(file, path))
    return [Item(_printable(str(file)), *version_and_state(file)) for file in files]


def _is_added(file: Path, pattern: Path) -> bool:
    """Whether the system put it there, below what the pattern spells."""
    fixed = _fixed_part(str(pattern))
    return is_of_the_system(str(file.relative_to(fixed) if file.is_relative_to(fixed) else file))


def _is_hidden(file: Path, pattern: Path) -> bool:
    """Whether a part of its name begins with a dot that the pattern does not spell."""
    spelt = [part for part in pattern.parts if part.startswith(".")]
    hidden = [part for part in file.parts if part.startswith(".")]
    return not all(any(fnmatchcase(part, known) for known in spelt) for part in hidden)


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder; links to folders, which are not followed; folders that can't be listed."""
    closed: list[str] = []
    for here, folders, files in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        links = [name for name in folders if Path(here, name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in [*files, *links] if not name.startswith("."))
    yield from map(Path, closed)


def version_and_state(file: Path) -> tuple[str, str]:
    """A file's version, and its state on this machine."""
    # Permission may be given, and what a link leads to appear, without a change of the file.
    if not os.access(file, os.R_OK):
        return "unreadable", ""
    try:
        found = file.stat()
    except OSError as error:
        return error.strerror or "unreadable", ""
    return f"{found.st_size}-{found.st_mtime_ns}", f"{found.st_ino}-{found.st_ctime_ns}"


def _open_local(file: Path, pattern: str) -> Opened:
    if file != Path(pattern).expanduser():
        target = file.resolve()
        if file.is_symlink() and target.is_dir():
            raise Skipped("link", f"it leads to the folder {target}")
        # A folder on the way may be a link too.
        if not target.is_relative_to(_fixed_part(pattern).resolve()):
            raise Skipped("link", f"it leads out of the folder, to {target}")
    mode = file.stat().st_mode
    if stat.S_ISDIR(mode):
        raise Skipped("no permission", "the folder may not be listed by this user")
    if not stat.S_ISREG(mode):
        raise Skipped("not a regular file", "a device, a pipe or a socket")
    stream = file.open("rb")
    found = os.fstat(stream.fileno())
    return Opened(stream, found.st_size, utc(found.st_mtime))


def _fixed_part(pattern: str) -> Path:
    """The folder that a pattern begins with."""
    path = Path(pattern).expanduser()
    while has_magic(str(path)) or not path.is_dir():
        if path == path.parent:
            break
        path = path.parent
    return path


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _remote_items(url: str, endpoint: str | None) -> list[Item]:
    _settle_proxies(url, endpoint)
    try:
        system, path = _file_system(url, endpoint)
        system.invalidate_cache()
        if url.startswith(("http://", "https://")):
            # Web servers have no folders.
            found = {path: system.info(path)}
        elif has_magic(path):
            found = system.glob(path, detail=True)
        else:
            found = system.find(path, detail=True)
        return [
            Item(system.unstrip_protocol(name), *_remote_version_and_state(info))
            for name, info in found.items()
            if info.get("type") != "directory" and not name.endswith("/")
            if name == path or not is_of_the_system(name)
        ]
    except Exception as error:  # every file system has errors of its own
        raise _unreachable(url, error) from error


def _remote_version_and_state(info: Mapping[str, Any]) -> tuple[str, str]:
    stated = next((str(info[key]) for key in _VERSIONS if info.get(key)), None)
    version = stated or f"{info.get('size')}-{info.get('Last-Modified') or _changed(info)}"
    # file:// is a URL too.
    return version, f"{info['ino']}-{info.get('created')}" if "ino" in info else ""


def _open_remote(url: str, endpoint: str | None) -> Opened:
    _settle_proxies(url, endpoint)
    try:
        system, path = _file_system(url, endpoint)
        info = system.info(path)
        stream = system.open(path, "rb")
    except FileNotFoundError:
        raise
    except Exception as error:
        raise _unreachable(url, error) from error
    return Opened(cast(BinaryIO, _Remote(stream, url)), int(info.get("size") or 0), _changed(info))


def _changed(info: Mapping[str, Any]) -> datetime | None:
    value = next((info[key] for key in _TIMES if info.get(key)), None)
    if isinstance(value, int | float):
        return utc(value)
    try:
        return value if isinstance(value, datetime) else datetime.fromisoformat(cast(str, value))
    except (TypeError, ValueError):  # none, or in words
        return None


def _settle_proxies(url: str, endpoint: str | None) -> None:
    """Let the file system's client find the proxies of the environment, or say that it can't."""
    parts = urlsplit(url)
    if parts.scheme in _BUCKETS:
        parts = urlsplit(endpoint or f"https://{parts.netloc}.{_BUCKETS[parts.scheme]}")
    if parts.scheme in ("http", "https"):
        refuse_socks(parts.geturl())
        reach_directly(parts.hostname or "")


def _file_system(url: str, endpoint: str | None) -> tuple[Any, str]:
    options: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
    if url.startswith(("http://", "https://")):
        options["client_kwargs"] = {"trust_env": True}  # or it would pass over the proxies
    if url.startswith("s3"):
        # s3fs tries again itself; botocore doing the same makes a stalled server minutes.
        options["config_kwargs"] = {
            "connect_timeout": 5,
            "read_timeout": 15,
            "retries": {"total_max_attempts": 1},
        }
    return cast("tuple[Any, str]", fsspec.core.url_to_fs(url, **options))


class _Remote:
    """A remote stream whose failure stops the source: a network that is down must not shrink the corpus."""

    def __init__(self, stream: Any, url: str) -> None:
        self._stream, self._url = stream, url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        return cast(int, self._try(self._stream.readinto, buffer))

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return cast(bytes, self._try(self._stream.read, size))

    def _try(self, function: Any, argument: Any) -> Any:
        try:
            return function(argument)
        except Exception as error:
            raise _unreachable(self._url, error) from error


def _unreachable(url: str, error: Exception) -> SourceError:
    said = " ".join(str(error).split()) or type(error).__name__
    return SourceError(
        f"files: {url} can't be read ({said}); check the URL, `endpoint` and the environment's credentials"
    )
