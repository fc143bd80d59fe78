"""The packages source, on what is really installed here."""

import json
import platform
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from corpus.documents import Document, to_batches
from corpus.errors import SourceError
from corpus.sources.packages import PackagesSource, items, read


def _documents(config: PackagesSource) -> Iterator[Document]:
    def refuse(*why: str) -> None:
        raise AssertionError(why)

    for item in items(config, {}):
        yield from read(config, item, refuse)


def test_a_folder_of_a_distribution_is_an_item() -> None:
    found = {
        item.uri: item.version for item in items(PackagesSource(include=("yaml", "filelock", "python")), {})
    }
    assert list(found) == sorted(found)
    assert {"pypi:PyYAML/yaml", "pypi:filelock/filelock", "python", "python/xml/etree"} <= set(found)
    assert found["pypi:filelock/filelock"].startswith(version("filelock") + " ")
    assert found["python/xml/etree"].startswith(platform.python_version() + " ")
    again = items(PackagesSource(include=("yaml", "filelock", "python")), {})
    assert found == {item.uri: item.version for item in again}


def test_a_folder_is_read_without_those_in_it() -> None:
    config = PackagesSource(include=("python",))
    [item] = [item for item in items(config, {}) if item.uri == "python/xml"]
    modules = {document.meta["module"] for document in read(config, item, lambda *_: None)}
    assert modules == {"xml"}


def test_documents_carry_label_place_and_licence() -> None:
    found = list(_documents(PackagesSource(include=("filelock", "yaml"))))
    assert {document.meta["library"] for document in found} == {"filelock", "yaml"}
    [lock] = [
        d for d in found if d.meta["module"] == "filelock._api" and d.meta["name"] == "BaseFileLock.acquire"
    ]
    assert lock.meta["kind"] == "function"
    assert lock.uri.startswith("pypi:filelock@")
    assert lock.uri.endswith("/filelock/_api.py#BaseFileLock.acquire")
    assert lock.license
    assert "acquire" in lock.text.lower()
    assert lock.raw
    assert b"class BaseFileLock" in lock.raw
    assert (lock.encoding, lock.extractor) == ("utf-8", "ast")
    files = [d.uri.split("#")[0].rsplit("/", 1) for d in found if "filelock@" in d.uri]
    assert files == sorted(files)


def test_standard_library_is_called_python() -> None:
    found = {d.uri.split("/", 1)[1]: d for d in _documents(PackagesSource(include=("python",)))}
    mean = found["statistics.py#mean"]
    assert (mean.meta["library"], mean.license, mean.collected_at) == ("python", "PSF-2.0", None)
    assert not any(uri.startswith(("test/", "site-packages/")) for uri in found)


def test_two_runs_give_the_same_rows() -> None:
    config = PackagesSource(include=("yaml",), exclude=("python",))
    first, second = ([b.to_pylist() for b in to_batches(_documents(config))] for _ in range(2))
    assert first == second
    assert json.loads(first[0][0]["meta"])["library"] == "yaml"


def test_an_unknown_library_is_named() -> None:
    with pytest.raises(SourceError, match="no_such_library"):
        list(items(PackagesSource(include=("no_such_library", "yaml")), {}))
