"""An artifact: an immutable directory of files, and the manifest that accounts for them.

Stages exchange the three strings of an `Artifact`, never data. What is in the directory, what it
was made from and how long it took is in `manifest.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

MANIFEST = "manifest.json"


class Artifact(BaseModel):
    """A reference to an artifact: small, serialisable, and the same on every machine.

    `key` says what the artifact was made from, `digest` what is in it (both sha256, 64 hex digits).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    key: str
    digest: str


class StoredFile(BaseModel):
    """A file of an artifact. A volatile one (timings, rendered pages) is verified but not in the digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    bytes: int
    volatile: bool = False


class Manifest(BaseModel):
    """What `manifest.json` holds.

    `inputs` are the inputs as they entered the key; `counts` and `metrics` describe the content;
    `external` points into other systems (an MLflow run, a Triton version) and is outside the digest.
    """

    # A metric may be NaN or infinite, which JSON has no numbers for.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    stage: str
    key: str
    digest: str
    inputs: dict[str, Any]
    config: dict[str, Any]
    code: str
    files: dict[str, StoredFile]
    counts: dict[str, int]
    metrics: dict[str, float]
    external: dict[str, str]
    seconds: float
    made_at: str

    @property
    def whole_config(self) -> dict[str, Any]:
        """The config that counted, and by name the checkpoint that counted by its digest."""
        start = self.external.get("start_from")
        return self.config | ({"start_from": start} if start else {})

    @property
    def artifact(self) -> Artifact:
        """The reference to the artifact that this manifest describes."""
        return Artifact(stage=self.stage, key=self.key, digest=self.digest)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_text(text: str) -> str:
    """The sha256 of the text's UTF-8 bytes, as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(directory: Path, volatile: frozenset[str]) -> dict[str, StoredFile]:
    """Every file below `directory` (but the manifest) by its relative POSIX path.

    `volatile` names files, or folders by a trailing slash, that stay out of the digest.
    """
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name != MANIFEST:
            is_volatile = name in volatile or any(v.endswith("/") and name.startswith(v) for v in volatile)
            files[name] = StoredFile(
                sha256=sha256_file(path), bytes=path.stat().st_size, volatile=is_volatile
            )
    return files


def content_digest(stage: str, files: Mapping[str, StoredFile]) -> str:
    """The artifact's digest: the sha256 over its stage and its files' names and digests."""
    content = {name: file.sha256 for name, file in files.items() if not file.volatile}
    return sha256_text(canonical({"stage": stage, "files": content}))


def folder_digest(name: str) -> str:
    """The digest of a folder that a recipe names; "" for no name, or what is no folder."""
    folder = Path(name)
    return content_digest("folder", describe_files(folder, frozenset())) if name and folder.is_dir() else ""
