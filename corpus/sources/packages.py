"""Docstrings of the Python packages installed here: real text that is on every machine.

They come with an honest label, the library that a docstring belongs to (its import name;
`python` for the standard library). No package is imported.
"""

import codecs
import csv
import os
import platform
import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from corpus.documents import Document, Item, OnSkip
from corpus.errors import SourceError
from corpus.reading.docstrings import docstrings
from corpus.watcher import NOBODY, Watcher
from model_code.config.strict import StrictModel

STANDARD_LIBRARY = "python"
_NOT_DOCUMENTATION = {
    *("..", "test", "tests", "conftest.py", "idle_test"),
    *("_vendor", "vendor", "_vendored", "vendored", "_bundled", "third_party", "site-packages"),
}
_LONGEST_LICENSE_NAME = 60


class PackagesSource(StrictModel):
    """Docstrings of installed packages."""

    kind: Literal["packages"] = "packages"
    name: str = Field(default="packages", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="overrides the licence stated by each distribution")
    include: tuple[str, ...] = Field(default=(), description="import names to read, `python` too; empty: all")
    exclude: tuple[str, ...] = Field(default=(), description="import names to leave out")

    @property
    def meta_keys(self) -> tuple[str, ...]:
        """What the documents have in their `meta`."""
        return ("library", "module", "name", "kind")


CONFIG, CODE = PackagesSource, ()


class _Module(NamedTuple):
    path: str
    library: str
    name: str
    origin: str
    license: str | None
    checksum: str


class _Folder(NamedTuple):
    """A folder of a distribution or of the standard library: small enough to be read beside others."""

    item: Item
    modules: list[_Module]


def place(config: PackagesSource) -> str:
    """The environment whose packages they are."""
    return os.pathsep.join(
        map(os.path.realpath, (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")))
    )


def items(config: PackagesSource, known: Mapping[str, str], watcher: Watcher = NOBODY) -> Iterator[Item]:
    """The folders of the selected libraries; a version changes with the distribution's or a listed file.

    Raises:
        SourceError: `include` names a library that is not installed.
    """
    _folders_of.cache_clear()
    for folder in _folders_of(config).values():
        yield folder.item


def read(config: PackagesSource, item: Item, on_skip: OnSkip) -> Iterator[Document]:
    """Every docstring of the modules in a folder, ordered by file; a file that fails is skipped."""
    folder = _folders_of(config).get(item.uri)
    for module in folder.modules if folder else ():
        try:
            source = Path(module.path).read_bytes()
            encoding = codecs.lookup(tokenize.detect_encoding(BytesIO(source).readline)[0]).name
            parsed = docstrings(source, module.path)
        except OSError as error:
            on_skip(module.origin, "unreadable", error.strerror or str(error))
            continue
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            on_skip(module.origin, "does not parse", str(error))
            continue
        for name, kind, text in parsed:
            yield Document(
                text=text,
                source=config.name,
                uri=f"{module.origin}#{name}" if name else module.origin,
                license=config.license or module.license,
                meta={"library": module.library, "module": module.name, "name": name, "kind": kind},
                raw=source,
                encoding=encoding,
                extractor="ast",
            )


def reader_version() -> str:
    """The version of Python, whose `ast` does the reading."""
    return platform.python_version()


@lru_cache(maxsize=1)
def _folders_of(config: PackagesSource) -> dict[str, _Folder]:
    """URI -> folder, sorted by URI; a file that two distributions bring belongs to the first."""
    modules: dict[str, list[_Module]] = {}
    for module in _modules(config):
        modules.setdefault(_folder_uri(module), []).append(module)
    return {uri: _Folder(Item(uri, _version(modules[uri])), modules[uri]) for uri in sorted(modules)}


def _folder_uri(module: _Module) -> str:
    """`pypi:numpy/numpy/linalg` for `pypi:numpy@2.4.1/numpy/linalg/_linalg.py`."""
    distribution, _, file = module.origin.partition("/")
    folder = file.rpartition("/")[0]
    name = distribution.partition("@")[0]
    return f"{name}/{folder}" if folder else name


def _version(modules: list[_Module]) -> str:
    """The version of the distribution, and a digest of what its record says of the files."""
    stated = "\n".join(f"{module.origin} {module.checksum} {module.license}" for module in modules)
    number = modules[0].origin.partition("@")[2].partition("/")[0]
    return f"{number} {sha256(stated.encode()).hexdigest()[:16]}"


def _modules(config: PackagesSource) -> list[_Module]:
    wanted, unwanted = set(config.include), set(config.exclude)
    modules: dict[str, _Module] = {}
    libraries = set()
    for module in (*_standard_library(), *_installed()):
        libraries.add(module.library)
        if module.library not in unwanted and (not wanted or module.library in wanted):
            modules.setdefault(module.path, module)
    if missing := sorted(wanted - libraries):
        raise SourceError(
            f"packages: include names {', '.join(missing)}, which is not installed here; "
            f"give import names such as numpy or sklearn, or install it"
        )
    return sorted(modules.values(), key=lambda module: module.origin)


def _standard_library() -> Iterator[_Module]:
    root = sysconfig.get_path("stdlib")
    origin = f"python@{platform.python_version()}"
    for folder, _, names in os.walk(root):
        inside = folder[len(root) + 1 :].replace(os.sep, "/")
        for name in names:
            file = f"{inside}/{name}" if inside else name
            if _is_documentation(file):
                path, name = f"{root}/{file}", _module_name(file)
                yield _Module(path, STANDARD_LIBRARY, name, f"{origin}/{file}", "PSF-2.0", checksum="")


def _installed() -> Iterator[_Module]:
    for stated, distribution in _distributions():
        license = _license(stated)
        root = distribution.locate_file("")
        origin = f"pypi:{stated['Name']}@{stated['Version']}"
        # Distribution.files makes a path object and a stat call of every entry, which takes 20 times as long.
        for file, checksum, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
            if _is_documentation(file):
                library = file.split("/")[0].removesuffix(".py")
                yield _Module(
                    f"{root}/{file}", library, _module_name(file), f"{origin}/{file}", license, checksum
                )


def _distributions() -> list[tuple[metadata.PackageMetadata, metadata.Distribution]]:
    # Every use of a distribution's metadata parses them again.
    found = [(distribution.metadata, distribution) for distribution in metadata.distributions(path=sys.path)]
    # Sorted, because two distributions may bring the same file (mlflow and mlflow-skinny do).
    return sorted(found, key=lambda pair: (pair[0]["Name"].lower(), pair[0]["Version"]))


def _is_documentation(file: str) -> bool:
    if not file.endswith(".py"):
        return False
    parts = file.split("/")
    return _NOT_DOCUMENTATION.isdisjoint(parts) and not parts[-1].startswith("test_")


def _module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _license(stated: metadata.PackageMetadata) -> str | None:
    """The SPDX expression, else a short free-text name, else the trove classifier."""
    named = next((stated[key] for key in ("License-Expression", "License") if key in stated), "")
    if named and "\n" not in named and len(named) <= _LONGEST_LICENSE_NAME and named != "UNKNOWN":
        return named
    classifiers = stated.get_all("Classifier") or []
    for classifier in classifiers:
        if classifier.startswith("License :: "):
            return str(classifier.rsplit(" :: ", 1)[-1])
    return None
