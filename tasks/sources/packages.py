"""Docstrings of the Python packages installed here: real text that is on every machine.

They come with an honest label, the library that a docstring belongs to (its import name;
`python` for the standard library). No package is imported.
"""

import csv
import gc
import multiprocessing
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from importlib import metadata
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tasks.documents import Document, OnSkip
from tasks.errors import SourceError
from tasks.sources.docstrings import docstrings

STANDARD_LIBRARY = "python"
_NOT_DOCUMENTATION = {
    *("..", "test", "tests", "conftest.py", "idle_test"),
    *("_vendor", "vendor", "_vendored", "vendored", "_bundled", "third_party", "site-packages"),
}
_LONGEST_LICENSE_NAME = 60


class PackagesSource(BaseModel):
    """Docstrings of installed packages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["packages"] = "packages"
    name: str = Field(default="packages", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="overrides the licence stated by each distribution")
    include: tuple[str, ...] = Field(default=(), description="import names to read, `python` too; empty: all")
    exclude: tuple[str, ...] = Field(default=(), description="import names to leave out")


class _Module(NamedTuple):
    path: str
    library: str
    name: str
    origin: str
    license: str | None


def documents(config: PackagesSource, skipped: OnSkip) -> Iterator[Document]:
    """Every docstring of every selected library, ordered by file; a file that fails is `skipped`.

    Raises:
        SourceError: `include` names a library that is not installed.
    """
    modules = _modules(config)
    # Forking a process that has threads (Prefect has) can deadlock.
    context = multiprocessing.get_context("forkserver")
    # Syntax trees have no cycles; looking for them would take a tenth of the parsing time.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=gc.disable) as pool:
        found = pool.map(docstrings, [module.path for module in modules], chunksize=64)
        for module, result in zip(modules, found, strict=True):
            if isinstance(result, str):
                skipped(module.origin, result)
                continue
            for name, kind, text in result:
                yield Document(
                    text=text,
                    source=config.name,
                    uri=f"{module.origin}#{name}" if name else module.origin,
                    license=config.license or module.license,
                    meta={"library": module.library, "module": module.name, "name": name, "kind": kind},
                )


def fingerprint(config: PackagesSource) -> str:
    """Changes when the config, the Python version or a selected distribution does; reads no source."""
    selected = {module.origin.partition("/")[0] for module in _modules(config)}
    stated = [config.model_dump_json(), platform.python_version(), *sorted(selected)]
    return sha256("\n".join(stated).encode()).hexdigest()


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
                yield _Module(
                    f"{root}/{file}", STANDARD_LIBRARY, _module_name(file), f"{origin}/{file}", "PSF-2.0"
                )


def _installed() -> Iterator[_Module]:
    for distribution in _distributions():
        stated = _license(distribution.metadata)
        root = distribution.locate_file("")
        origin = f"pypi:{distribution.name}@{distribution.version}"
        # Distribution.files makes a path object and a stat call of every entry, which takes 20 times as long.
        for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
            file = row[0]
            if _is_documentation(file):
                library = file.split("/")[0].removesuffix(".py")
                yield _Module(f"{root}/{file}", library, _module_name(file), f"{origin}/{file}", stated)


def _distributions() -> list[metadata.Distribution]:
    # Sorted, because two distributions may bring the same file (mlflow and mlflow-skinny do).
    return sorted(
        metadata.distributions(path=sys.path), key=lambda found: (found.name.lower(), found.version)
    )


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
