"""Checkpoints that were brought into the home: whole or not there at all, and verified on each use.

<home>/checkpoints/<kind>/<name>/        the files of one checkpoint, and `.kept` with their digests
<home>/checkpoints/<kind>/.<name>.part/  one that is being brought; what is whole in it is not fetched again
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from model_code.models.folder import files_in, is_used, used_files
from tasks.contract.artifact import canonical, sha256_file, sha256_text
from tasks.contract.store import Store

RECORD = ".kept"


def digest_of(folder: Path) -> str:
    """The digest of the files that a training reads: the same wherever they came from.

    Raises:
        TrainingError: the index of the weights can't be followed.
    """
    return _digest({name: sha256_file(folder / name) for name in used_files(folder)})


def place_of(store: Store, kind: str, name: str) -> Path:
    """Where a checkpoint of this name is kept, whether it is there or not."""
    return store.home / "checkpoints" / kind / name.replace("/", "--")


def kept_digest(place: Path) -> str | None:
    """The digest of a kept checkpoint; None where there is none, or its files are not those that came."""
    try:
        recorded = json.loads((place / RECORD).read_text(encoding="utf-8"))
        found = _content(place)
    except (OSError, ValueError):
        return None
    return _digest({name: found[name] for name in used_files(place)}) if found == recorded else None


def bring(store: Store, place: Path, fill: Callable[[Path], None]) -> str:
    """The digest of the checkpoint at `place`, which `fill` writes into an empty or half-filled folder.

    It becomes `place` in one step; when it is there already, `fill` is not called.
    """
    with store.lock("checkpoint", _lock_of(store, place)):
        if digest := kept_digest(place):
            return digest
        part = place.with_name(f".{place.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        fill(part)
        (part / RECORD).write_text(json.dumps(_content(part), indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # damaged
        part.rename(place)
        return digest_of(place)


def forget_unused(store: Store) -> int:
    """Remove kept checkpoints that no artifact in the store started from; returns the bytes freed.

    What a running process is bringing is left alone.
    """
    starts = [manifest.inputs.get("start") or {} for manifest in store.manifests()]
    used, freed = {start.get("digest") for start in starts}, 0
    for folder in store.home.glob("checkpoints/*/*"):
        place = folder.with_name(folder.name.removeprefix(".").removesuffix(".part"))
        with store.lock("checkpoint", _lock_of(store, place), blocking=False) as free:
            if free and kept_digest(folder) not in used:
                freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                shutil.rmtree(folder)
    return freed


def _lock_of(store: Store, place: Path) -> str:
    return sha256_text(str(place.relative_to(store.home)))


def _content(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in files_in(folder) if is_used(name)}


def _digest(files: dict[str, str]) -> str:
    return sha256_text(canonical({"checkpoint": files}))
