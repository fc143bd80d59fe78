"""What a recipe means by `start_from`: a folder, a model of the hub at a commit, or a registered version.

All three come to a folder on this machine that holds a Hugging Face checkpoint, and to the digest of the
files in it that a training reads. The digest is part of the stage's key, so that another model in the
folder is noticed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from model_code.errors import TrainingError
from model_code.models.folder import check_folder
from tasks.checkpoints import hub, registered
from tasks.checkpoints.hub import HubModel
from tasks.checkpoints.kept import digest_of, kept_digest
from tasks.checkpoints.registered import Registered
from tasks.contract.errors import RecipeError
from tasks.contract.run import PENDING
from tasks.contract.store import Store
from tasks.tracking.registry import reachable

REGISTRY = "models:/"
_HUB = re.compile(r"(?P<id>[\w.-]+(?:/[\w.-]+)?)@(?P<commit>[0-9a-f]{40})")
_VERSION = re.compile(r"models:/(?P<model>[\w-]+)(?:@(?P<alias>[\w-]+)|/(?P<number>[1-9]\d{0,8}))")


class Start(BaseModel):
    """The checkpoint that a training starts from, at this moment; an input of the stage by its digest.

    `folder` is None, and the digest pending, where it is not here yet and nothing may be fetched.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    folder: Path | None = Field(None, exclude=True)
    name: str = Field("", exclude=True)


def start_of(reference: str, key: str, store: Store, *, fetch: bool) -> Start | None:
    """Look at the checkpoint that a recipe names, and bring it here; None where it names none.

    Args:
        key: of the recipe, for messages.
        fetch: bring it from the hub or the registry where it is not in the home yet.

    Raises:
        RecipeError: there is no such checkpoint, or it can't be started from.
        StageError: the hub can't be reached, or a version's files are not those that were registered.
        ServerError: MLflow does not answer.
    """
    if not reference:
        return None
    match _meant(reference, key):
        case HubModel() as model:
            place = hub.place(model, store)
            digest = hub.fetch(model, store, key) if fetch else kept_digest(place)
            return _start(digest, place, str(model))
        case Registered() as wanted:
            if not fetch and not reachable():
                return Start(digest=PENDING, name=str(wanted))
            version = registered.version_of(wanted, key)
            place = registered.place(version, store)
            digest = registered.fetch(version, store, key) if fetch else kept_digest(place)
            return _start(digest, place, f"{REGISTRY}{version.model}/{version.version}")
        case Path() as folder:
            try:
                return _start(digest_of(folder), folder, reference)
            except TrainingError as error:
                raise RecipeError(f"{key}: {error}") from error


class Known(NamedTuple):
    """What is known of a checkpoint before anything starts: where it is, its positions, its model type.

    None where it is not here yet; positions also where they have no end.
    """

    folder: Path | None
    positions: int | None
    kind: str | None


def known_start(reference: str, key: str, store: Store, *, fetch: bool) -> Known | None:
    """Refuse a checkpoint that no training could start from, with what is known of it; None: none is named.

    Raises:
        RecipeError, StageError, ServerError: as `start_of`.
    """
    start = start_of(reference, key, store, fetch=fetch)
    if start is None:
        return None
    if start.folder is None:
        if isinstance(model := _meant(reference, key), HubModel):
            hub.look(model, key)
        return Known(None, None, None)
    try:
        config = check_folder(start.folder, start.name)
    except TrainingError as error:
        raise RecipeError(f"{key}: {error}") from error
    positions = config.get("max_position_embeddings")
    return Known(start.folder, positions if isinstance(positions, int) else None, config["model_type"])


def folder_of(reference: str, key: str, store: Store, *, fetch: bool) -> str | None:
    """A path as it is written, or the folder of a model of the hub or the registry; None: not here yet.

    Raises:
        RecipeError, StageError, ServerError: as `start_of`.
    """
    if not asks_registry(reference) and not _HUB.fullmatch(reference):
        return reference
    start = start_of(reference, key, store, fetch=fetch)
    return str(start.folder) if start and start.folder else None


def asks_registry(reference: str) -> bool:
    """Whether MLflow has to run to know what is meant."""
    return reference.startswith(REGISTRY)


def _start(digest: str | None, folder: Path, name: str) -> Start:
    here = folder.absolute() if digest else None
    return Start(digest=digest or PENDING, folder=here, name=name)


def _meant(reference: str, key: str) -> Path | HubModel | Registered:
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    if reference.startswith(REGISTRY):
        if found := _VERSION.fullmatch(reference):
            return Registered(found["model"], found["alias"] or "", int(found["number"] or 0))
        raise RecipeError(
            f"{key}: {reference!r} names no registered version; write models:/NAME@ALIAS or "
            "models:/NAME/VERSION"
        )
    if found := _HUB.fullmatch(reference):
        return HubModel(found["id"], found["commit"])
    if folder.is_file():
        what = "GGUF files are for inference" if folder.suffix == ".gguf" else "a checkpoint is a folder"
        raise RecipeError(
            f"{key}: {reference} is a file, and {what}; name the folder with the model's config.json, its "
            "safetensors and its tokenizer"
        )
    raise RecipeError(
        f"{key}: {reference!r} is neither a folder nor a model of the hub with its commit; write id@commit "
        "with all 40 digits, as the page of its files shows them, or correct the path"
    )
