"""What a stage's function works with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tasks.contract import console
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.store import Store


class Workspace:
    """What a stage works with: its output directory, its inputs' files, and ways to be seen.

    `directory` becomes the artifact. `scratch` outlives a kill and is found again by the next attempt at
    the same key; it is removed when the artifact is published.
    """

    def __init__(self, stage: str, key: str, store: Store, directory: Path) -> None:
        self.stage, self.key, self.store, self.directory = stage, key, store, directory
        self.counts: dict[str, int] = {}
        self.metrics: dict[str, float] = {}
        self.external: dict[str, str] = {}
        self.volatile: set[str] = set()
        self.shown: list[str] = []

    @cached_property
    def scratch(self) -> Path:
        """A directory for what a restarted attempt wants to find again (checkpoints)."""
        path = self.store.scratch(self.stage, self.key)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def path(self, artifact: Artifact) -> Path:
        """The directory of an input artifact, to be read only."""
        return self.store.path(artifact)

    def manifest(self, artifact: Artifact) -> Manifest:
        """The manifest of an input artifact."""
        self.store.path(artifact)
        manifest = self.store.manifest(artifact.stage, artifact.key)
        assert manifest is not None
        return manifest

    def say(self, message: str) -> None:
        """Say one line to the person who watches."""
        console.say(f"  {message}")

    @contextmanager
    def progress(self, what: str, total: float | None) -> Iterator[console.Advance]:
        """A progress bar; call what it yields as `advance(done, note=...)`. `total` None: nobody knows it."""
        with console.progress(self.stage, what, total) as advance:
            yield advance

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for the stage's page in the Prefect UI."""
        self.shown.append(f"### {title}\n\n{console.markdown_table(header, rows)}")
