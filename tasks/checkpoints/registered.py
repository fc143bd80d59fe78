"""A registered version of ours as a start: its files are verified, then kept in the home.

What an alias points at is asked at every run; a version that is here is not fetched again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tasks.checkpoints.kept import bring, place_of
from tasks.contract.errors import RecipeError, StageError
from tasks.contract.store import Store
from tasks.tracking.registry import FILES_TAG, ModelVersion, by_alias, by_version, client
from tasks.tracking.version_files import REGISTERED, verified_files

CHECKPOINT = "artifacts/model"  # among the files of a version


class Registered(NamedTuple):
    """A name of the registry, and an alias or the number of a version."""

    model: str
    alias: str = ""
    number: int = 0

    def __str__(self) -> str:
        return f"models:/{self.model}" + (f"@{self.alias}" if self.alias else f"/{self.number}")


def version_of(wanted: Registered, key: str) -> ModelVersion:
    """The version that is meant now.

    Raises:
        RecipeError: there is none.
        ServerError: MLflow does not answer.
    """
    mlflow = client()
    if wanted.alias:
        found = by_alias(mlflow, wanted.model, wanted.alias)
    else:
        found = by_version(mlflow, wanted.model, wanted.number)
    if found is None:
        names = sorted(model.name for model in mlflow.search_registered_models())
        raise RecipeError(
            f"{key}: {wanted}: there is no such version in MLflow; the registered models are "
            f"{', '.join(names) or 'none'}"
        )
    return found


def place(version: ModelVersion, store: Store) -> Path:
    """Where a version's checkpoint is kept; another one where its list of files was changed."""
    tags = client().get_model_version(version.model, str(version.version)).tags
    name = f"{version.model}-{version.version}-{tags.get(FILES_TAG, '')[:16]}"
    return place_of(store, "registry", name)


def fetch(version: ModelVersion, store: Store, key: str) -> str:
    """Bring a version's checkpoint into the home, unless it is there; returns its digest.

    Raises:
        RecipeError: the version is no checkpoint.
        StageError: its files are not those that were registered.
        ServerError: MLflow does not answer.
    """

    def fill(folder: Path) -> None:
        try:
            with verified_files(version, store, [REGISTERED]) as files:
                if not (files / CHECKPOINT).is_dir():
                    raise RecipeError(
                        f"{key}: version {version.version} of {version.model} in MLflow holds no whole "
                        "model; name one that a recipe registered (not its adapter)"
                    )
                shutil.rmtree(folder)
                shutil.copytree(files / CHECKPOINT, folder)
        except StageError as error:
            raise StageError(f"{key}: {error}") from error

    return bring(store, place(version, store), fill)
