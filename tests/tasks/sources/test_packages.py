"""The packages source, on what is really installed here."""

import json

import pytest

from tasks.documents import to_batches
from tasks.errors import SourceError
from tasks.sources.packages import PackagesSource, documents, fingerprint


def test_documents_carry_label_place_and_licence() -> None:
    skipped: list[tuple[str, str]] = []
    found = list(documents(PackagesSource(include=("filelock", "yaml")), lambda *what: skipped.append(what)))
    assert not skipped
    assert {document.meta["library"] for document in found} == {"filelock", "yaml"}
    [lock] = [
        d for d in found if d.meta["module"] == "filelock._api" and d.meta["name"] == "BaseFileLock.acquire"
    ]
    assert lock.meta["kind"] == "function"
    assert lock.uri.startswith("pypi:filelock@")
    assert lock.uri.endswith("/filelock/_api.py#BaseFileLock.acquire")
    assert lock.license
    assert "acquire" in lock.text.lower()
    assert [d.uri.split("#")[0] for d in found] == sorted(d.uri.split("#")[0] for d in found)


def test_standard_library_is_called_python() -> None:
    config = PackagesSource(include=("python",))
    found = {d.uri.split("/", 1)[1]: d for d in documents(config, lambda *_: None)}
    mean = found["statistics.py#mean"]
    assert (mean.meta["library"], mean.license, mean.collected_at) == ("python", "PSF-2.0", None)
    assert not any(uri.startswith(("test/", "site-packages/")) for uri in found)


def test_two_runs_give_the_same_rows() -> None:
    config = PackagesSource(include=("yaml",), exclude=("python",))
    first, second = (
        [b.to_pylist() for b in to_batches(documents(config, lambda *_: None))] for _ in range(2)
    )
    assert first == second
    assert json.loads(first[0][0]["meta"])["library"] == "yaml"


def test_an_unknown_library_is_named() -> None:
    with pytest.raises(SourceError, match="no_such_library"):
        list(documents(PackagesSource(include=("no_such_library", "yaml")), lambda *_: None))


def test_fingerprint_follows_the_config() -> None:
    assert fingerprint(PackagesSource()) == fingerprint(PackagesSource())
    assert fingerprint(PackagesSource()) != fingerprint(PackagesSource(exclude=("numpy",)))
