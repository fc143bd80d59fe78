"""Where artifacts live, and the rules that keep them whole.

    <home>/artifacts/<stage>/<key>/        an artifact: its files and manifest.json
    <home>/artifacts/<stage>/.<key>.tmp/   one being written; becomes the artifact by a rename
    <home>/scratch/<stage>-<key>/          what a stage wants to find again after a kill (checkpoints)
    <home>/locks/<stage>-<key>.lock        held by the one process that makes this artifact

A reader sees an artifact whole or not at all, and a killed writer leaves nothing that is mistaken for
one. Locks are advisory locks of the kernel, so they end with the process that held them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from tasks.contract.artifact import MANIFEST, Artifact, Manifest, content_digest, sha256_file
from tasks.contract.errors import StageError


class Store:
    """The artifacts below one home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def place(self, stage: str, key: str) -> Path:
        """The directory of the artifact with this key, whether it exists or not."""
        return self.home / "artifacts" / stage / key[:32]

    def path(self, artifact: Artifact) -> Path:
        """The directory of an artifact that exists.

        Raises:
            StageError: it is gone, or another content has taken its place.
        """
        manifest = self.manifest(artifact.stage, artifact.key)
        if manifest is None or manifest.digest != artifact.digest:
            raise StageError(
                f"{artifact.stage}: the artifact {artifact.digest[:12]} is no longer in {self.home}; "
                "run the recipe again, it is made anew"
            )
        return self.place(artifact.stage, artifact.key)

    def manifest(self, stage: str, key: str) -> Manifest | None:
        """The manifest of the artifact with this key, or None when there is no readable one."""
        try:
            return Manifest.model_validate_json((self.place(stage, key) / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            return None

    def damage(self, manifest: Manifest) -> list[str]:
        """Names of files that are missing or differ from the manifest; empty for a sound artifact."""
        place = self.place(manifest.stage, manifest.key)
        wrong = [
            name
            for name, file in manifest.files.items()
            if not (place / name).is_file() or sha256_file(place / name) != file.sha256
        ]
        if content_digest(manifest.stage, manifest.files) != manifest.digest:
            wrong.append(MANIFEST)
        return wrong

    def scratch(self, stage: str, key: str) -> Path:
        """A directory that outlives a kill and ends when the artifact is published."""
        return self.home / "scratch" / f"{stage}-{key[:32]}"

    def begin(self, stage: str, key: str) -> Path:
        """An empty directory to write the artifact in; remains of a killed writer are removed.

        Call it with the lock held.
        """
        temporary = self.place(stage, key).with_name(f".{key[:32]}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        return temporary

    def publish(self, temporary: Path, manifest: Manifest) -> None:
        """Make what was written visible under its key, in one step. Call it with the lock held."""
        (temporary / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for path in temporary.rglob("*"):
            _fsync(path)
        _fsync(temporary)
        place = self.place(manifest.stage, manifest.key)
        if place.exists():  # damaged, or to be refreshed: out of the way first, then removed
            replaced = place.with_name(f".{place.name}.replaced")
            shutil.rmtree(replaced, ignore_errors=True)
            place.rename(replaced)
            temporary.rename(place)
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            temporary.rename(place)
        _fsync(place.parent)
        shutil.rmtree(self.scratch(manifest.stage, manifest.key), ignore_errors=True)

    @contextmanager
    def lock(self, stage: str, key: str, *, blocking: bool = True) -> Iterator[bool]:
        """Hold the lock of one key; yields False when `blocking` is off and another process has it."""
        path = self.home / "locks" / f"{stage}-{key[:32]}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(blocking=blocking)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def manifests(self, stage: str = "*") -> Iterator[Manifest]:
        """The manifests of all artifacts, stage by stage, or of one stage."""
        for path in sorted((self.home / "artifacts").glob(f"{stage}/[!.]*/{MANIFEST}")):
            manifest = self.manifest(path.parent.parent.name, path.parent.name)
            if manifest:
                yield manifest

    def collect_garbage(self, wanted: set[tuple[str, str]]) -> tuple[int, int]:
        """Remove every artifact whose (stage, key) is not wanted, and the remains of killed runs.

        What a running process is making is left alone. Returns (directories removed, bytes freed).
        """
        removed = freed = 0
        keep = {(stage, key[:32]) for stage, key in wanted}
        rooms = [p for p in (self.home / "artifacts").glob("*/*") if p.is_dir()]
        rooms += [p for p in (self.home / "scratch").glob("*") if p.is_dir()]
        for room in rooms:
            if room.parent.name == "scratch":
                stage, _, key = room.name.rpartition("-")
                is_wanted = False
            else:
                stage, key = room.parent.name, room.name.removeprefix(".").split(".")[0]
                is_wanted = (stage, room.name) in keep
            if is_wanted:
                continue
            with self.lock(stage, key, blocking=False) as free:
                if free:
                    freed += sum(f.stat().st_size for f in room.rglob("*") if f.is_file())
                    shutil.rmtree(room)
                    removed += 1
        return removed, freed


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
