"""A source of files, collected without Prefect, and what came of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.documents import read_documents
from tasks.collect import CollectConfig, collect, snapshot
from tasks.contract.artifact import Artifact
from tasks.contract.run import Run

Rows = list[dict[str, Any]]


def write(folder: Path, **texts: list[Any]) -> Path:
    """Files of JSON lines, all of one age."""
    folder.mkdir(exist_ok=True)
    for name, lines in texts.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def files_config(folder: Path, **options: Any) -> CollectConfig:
    return CollectConfig.model_validate(
        {"sources": [{"kind": "files", "name": "mine", "path": str(folder)}], **options}
    )


def collected(home: Path, config: CollectConfig) -> Artifact:
    return collect.fn(snapshot(config, home), config, Run(home))


def rows_of(home: Path, artifact: Artifact, part: str = "documents") -> Rows:
    place = Run(home).store.path(artifact)
    is_file = part.endswith(".parquet")
    table = pq.read_table(place / part) if is_file else pa.Table.from_batches(read_documents(place / part))
    rows: Rows = table.to_pylist()
    return rows


def changes_of(home: Path, collected: Artifact) -> dict[str, list[str]]:
    changes = json.loads((Run(home).store.path(collected) / "changes.json").read_text(encoding="utf-8"))[
        "mine"
    ]
    return {kind: [Path(uri).stem for uri in changes[kind]] for kind in ("new", "changed", "removed")}
