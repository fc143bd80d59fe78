"""A registered version as a start, against a real MLflow: which one is meant, when its files come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.checkpoints import registered
from tasks.checkpoints.registered import Registered, fetch, place, version_of
from tasks.contract.errors import RecipeError
from tasks.contract.store import Store
from tests.release_artifacts import Release


@pytest.fixture
def version(mlflow: Any, model: str, classifier: Path, tmp_path: Path) -> int:
    """A registered classifier."""
    release = Release(tmp_path / "home", model, checkpoint=classifier)
    return int(release.manifest(release.register()).external["version"])


def test_a_version_is_meant_by_its_alias_or_its_number(version: int, model: str) -> None:
    by_alias = version_of(Registered(model, alias="challenger"), "key")
    assert by_alias == version_of(Registered(model, number=version), "key")
    assert by_alias.version == version == 1


@pytest.mark.parametrize("wanted", [{"alias": "gold"}, {"number": 77}, {"model": "nobody", "number": 1}])
def test_a_version_that_there_is_not_is_refused_with_the_models_that_there_are(
    version: int, model: str, wanted: dict[str, Any]
) -> None:
    meant = Registered(**{"model": model} | wanted)
    with pytest.raises(RecipeError) as refused:
        version_of(meant, "fine_tune.start_from")
    said = f"fine_tune.start_from: {meant}: there is no such version in MLflow; the registered models are "
    assert str(refused.value).startswith(said)
    assert model in str(refused.value).removeprefix(said).split(", ")


def test_what_is_here_is_not_fetched_again_unless_it_was_changed(
    version: int, model: str, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, store = version_of(Registered(model, number=version), "key"), Store(tmp_path / "home")
    fetched: list[Any] = []
    verified_files = registered.verified_files
    monkeypatch.setattr(
        registered, "verified_files", lambda *given: fetched.append(given) or verified_files(*given)
    )
    digest = fetch(found, store, "key")
    kept = place(found, store)
    assert {path.name: path.read_bytes() for path in classifier.iterdir()}.items() <= {
        path.name: path.read_bytes() for path in kept.iterdir()
    }.items()
    assert (fetch(found, store, "key"), len(fetched)) == (digest, 1)
    (kept / "config.json").write_text("{}", encoding="utf-8")
    assert (fetch(found, store, "key"), len(fetched)) == (digest, 2)
    assert (kept / "config.json").read_bytes() == (classifier / "config.json").read_bytes()
