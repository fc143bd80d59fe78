"""An artifact put into a store by hand, for tests that begin in the middle of the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.contract.artifact import Artifact, Manifest, content_digest, describe_files
from tasks.contract.store import Store


def publish(
    store: Store,
    directory: Path,
    stage: str,
    key: str,
    *,
    volatile: frozenset[str] = frozenset(),
    counts: dict[str, int] | None = None,
    config: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
    inputs: dict[str, Artifact] | None = None,
) -> Artifact:
    """Publish what was written into `directory`, which `store.begin(stage, key)` gave."""
    files = describe_files(directory, volatile)
    manifest = Manifest(
        stage=stage,
        key=key,
        digest=content_digest(stage, files),
        inputs={name: {"stage": a.stage, "digest": a.digest} for name, a in (inputs or {}).items()},
        config=config or {},
        code="",
        files=files,
        counts=counts or {},
        metrics=metrics or {},
        external={},
        seconds=0,
        made_at="",
    )
    store.publish(directory, manifest)
    return manifest.artifact
