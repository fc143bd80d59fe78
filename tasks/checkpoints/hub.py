"""A model of the Hugging Face hub at one commit, fetched into the home once: weights, JSON and vocabularies.

No code and no pickle is ever asked for. Every file is compared with the digest that the hub states, a file
that was cut short goes on where it ended, and what is here needs no connection any more.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from model_code.errors import TrainingError
from model_code.models.folder import (
    CONFIG,
    check_config,
    check_folder,
    check_names,
    is_used,
    is_weights,
    weights_of,
)
from tasks.checkpoints.kept import bring, place_of
from tasks.contract import disk
from tasks.contract.console import escaped, say
from tasks.contract.errors import RecipeError, StageError
from tasks.contract.store import Store

_SECONDS = 10.0
_UNFINISHED = ".unfinished"


class HubModel(NamedTuple):
    """A model of the hub: its id and all 40 digits of a commit."""

    id: str
    commit: str

    def __str__(self) -> str:
        return f"{self.id}@{self.commit}"

    @property
    def by_hand(self) -> str:
        """How to bring it where the hub is out of reach."""
        return (
            f"fetch it where there is a connection with `hf download {self.id} --revision {self.commit} "
            "--local-dir FOLDER` and set start_from to FOLDER"
        )


class HubFile(NamedTuple):
    """A file as the hub describes it: bytes, and its sha256 (large files) or git's id of it (small ones)."""

    size: int
    sha256: str
    blob: str


def place(model: HubModel, store: Store) -> Path:
    """Where the model is kept."""
    return place_of(store, "hub", str(model))


def look(model: HubModel, key: str) -> None:
    """Refuse what the names of the model's files rule out, and what the hub does not give; fetches nothing.

    Raises:
        RecipeError: there is no such model or commit, it may not be had, or it can't be started from.
        StageError: the hub can't be reached.
    """
    _listing(model, key)


def fetch(model: HubModel, store: Store, key: str) -> str:
    """Bring the model into the home, unless it is there; returns its digest.

    Raises:
        RecipeError: as `look`, or what came can't be started from.
        StageError: the hub can't be reached, a file does not arrive whole, or the disk is full.
    """

    def fill(folder: Path) -> None:
        listing = _listing(model, key)
        small = {name: file for name, file in listing.items() if not name.endswith(".safetensors")}
        _get(model, small, folder, store, key)
        check_config(folder, str(model))
        weights = {*weights_of(folder, listing, str(model))}
        large = {n: f for n, f in listing.items() if n not in small and (n in weights or not is_weights(n))}
        _require_room(model, large, folder, store, key)
        size = sum(file.size for file in large.values())
        say(escaped(f"fetching {model} from the hub, {size / 1e6:,.1f} MB"))
        _get(model, large, folder, store, key)
        check_folder(folder, str(model))

    try:
        return bring(store, place(model, store), fill)
    except TrainingError as error:
        raise RecipeError(f"{key}: {error}") from error
    except OSError as error:
        raise StageError(f"{key}: {model}: {disk.explain(error, store.home)}") from error


def _listing(model: HubModel, key: str) -> dict[str, HubFile]:
    """The files that may be fetched, by name.

    Raises:
        RecipeError, StageError: as `look`.
    """
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url

    endpoint = _endpoint()
    try:
        info = HfApi(endpoint=endpoint).model_info(
            model.id, revision=model.commit, files_metadata=True, timeout=_SECONDS
        )
        if info.gated:  # everybody may list its files
            get_hf_file_metadata(hf_hub_url(model.id, CONFIG, revision=model.commit, endpoint=endpoint))
    except Exception as error:  # the client has changed its HTTP library, and with it the errors, twice
        raise _refusal(model, key, error) from error
    files = {
        sibling.rfilename: HubFile(
            sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else "", sibling.blob_id or ""
        )
        for sibling in info.siblings or []
    }
    try:
        check_names(files, str(model))
    except TrainingError as error:
        raise RecipeError(f"{key}: {error}") from error
    return {name: file for name, file in files.items() if is_used(name)}


def _get(model: HubModel, files: Mapping[str, HubFile], folder: Path, store: Store, key: str) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    # It tries again by itself, and tells each time.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    for name, file in files.items():
        target, unfinished = folder / name, folder / f"{name}{_UNFINISHED}"
        if target.is_file() and _is(target, file):
            continue
        target.parent.mkdir(exist_ok=True)
        if unfinished.is_file() and unfinished.stat().st_size > file.size:
            unfinished.unlink()
        url = hf_hub_url(model.id, name, revision=model.commit, endpoint=_endpoint())
        try:
            with unfinished.open("ab") as stream:
                http_get(
                    url,
                    stream,
                    resume_size=stream.tell(),
                    headers=build_hf_headers(),
                    expected_size=file.size,
                )
        except Exception as error:  # as in _listing
            if refused := disk.cause(error):
                raise refused from error
            raise _refusal(model, key, error, f"{name} did not arrive whole: ") from error
        if not _is(unfinished, file):
            unfinished.unlink()
            raise StageError(
                f"{key}: {model}: {name} did not arrive as the hub states it (its digest is another one); "
                f"run again to fetch it anew; if that does not help, {model.by_hand}"
            )
        unfinished.replace(target)


def _is(path: Path, file: HubFile) -> bool:
    """Whether a file has the digest that the hub states: a sha256, or git's sha1 of a blob."""
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:
        digest.update(f"blob {file.size}\0".encode())
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == (file.sha256 or file.blob)


def _require_room(
    model: HubModel, files: Mapping[str, HubFile], folder: Path, store: Store, key: str
) -> None:
    there = sum(path.stat().st_size for path in folder.glob("*.safetensors*"))
    needed, free = sum(file.size for file in files.values()) - there, shutil.disk_usage(store.home).free
    if needed > free:
        raise StageError(
            f"{key}: {model}: {needed / 1e6:,.0f} MB are to be fetched, and {free / 1e6:,.0f} MB are free "
            f"below {store.home}; free some space (`textmill gc` removes old artifacts) or set TEXTMILL_HOME "
            "to another disk, and run again"
        )


def _refusal(model: HubModel, key: str, error: Exception, what: str = "") -> RecipeError | StageError:
    """What the hub's client meant, with the way out."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    match error:
        case GatedRepoError():
            return RecipeError(
                f"{key}: {model}: its author gives it to those alone who have asked; accept the terms on its "
                f"page, log in with `hf auth login` (or set HF_TOKEN), and run again; or {model.by_hand}"
            )
        case RevisionNotFoundError():
            return RecipeError(
                f"{key}: the model {model.id} of the hub has no commit {model.commit}; take one from the "
                "page of its files, all 40 digits"
            )
        case RepositoryNotFoundError() | HFValidationError():
            return RecipeError(
                f"{key}: the hub has no model {model.id}, or it is private and nobody is logged in who may "
                "read it (`hf auth login` or HF_TOKEN); correct the id"
            )
    reason = str(error).strip().split("\n", maxsplit=1)[0].rstrip(".")[:300]
    return StageError(
        f"{key}: {model}: the hub can't be reached ({what}{reason}); run again, or {model.by_hand}"
    )


def _endpoint() -> str | None:
    """The hub that the environment names; None for the public one."""
    return os.environ.get("HF_ENDPOINT") or None
