"""Stage 1: bring the documents of all sources together in one schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tasks.documents import Document, OnSkip, to_batches, write_shards
from tasks.errors import SourceError
from tasks.sources import files, hub, packages
from tasks.sources.files import FilesSource
from tasks.sources.hub import HubSource
from tasks.sources.packages import PackagesSource
from tasks.stage import Config, Workspace, stage

Source = Annotated[PackagesSource | FilesSource | HubSource, Field(discriminator="kind")]


class CollectConfig(Config):
    """Where documents come from."""

    sources: tuple[Source, ...] = Field(min_length=1, description="The sources, in the order of trust.")


class Snapshot(BaseModel):
    """What the sources hold at this moment: one fingerprint per source, the stage's input."""

    model_config = ConfigDict(frozen=True)

    fingerprints: dict[str, str]


def snapshot(config: CollectConfig) -> Snapshot:
    """Fingerprint every source, so that a changed file or package makes a new corpus.

    Raises:
        SourceError: a source can't be found or read.
    """
    names = Counter(source.name for source in config.sources)
    if twice := [name for name, count in names.items() if count > 1]:
        raise SourceError(f"collect: two sources are named {twice[0]!r}; give each its own `name`")
    return Snapshot(
        fingerprints={source.name: _module_of(source).fingerprint(source) for source in config.sources}
    )


@stage(runs=("tasks.sources.docstrings",))
def collect(snapshot: Snapshot, config: CollectConfig, workspace: Workspace) -> None:
    """Write the documents of all sources to `documents/`, and what could not be read to `skipped.json`.

    Raises:
        SourceError: a source can't be read at all, or there is no document in any of them.
    """
    skipped: list[dict[str, str]] = []
    per_source: Counter[str] = Counter()
    characters = 0

    def all_documents() -> Iterator[Document]:
        nonlocal characters
        with workspace.progress("documents", total=None) as advance:
            for source in config.sources:
                on_skip = _recorder(source.name, skipped)
                for document in _module_of(source).documents(source, on_skip):
                    per_source[source.name] += 1
                    characters += len(document.text)
                    count = per_source.total()
                    if count % 1000 == 0:
                        advance(count, note=f"from {source.name}")
                    yield document

    documents = write_shards(to_batches(all_documents()), workspace.directory / "documents")
    skipped.sort(key=lambda entry: (entry["source"], entry["uri"]))
    (workspace.directory / "skipped.json").write_text(
        json.dumps(skipped, indent=2, ensure_ascii=False) + "\n"
    )
    if not documents:
        reasons = "; ".join(f"{s['uri']}: {s['reason']}" for s in skipped[:3])
        raise SourceError(
            f"collect: no document in {', '.join(per_source or [s.name for s in config.sources])}"
            + (f" ({len(skipped)} files could not be read: {reasons})" if skipped else "")
            + "; check the sources in the recipe"
        )
    workspace.counts |= {"documents": documents, "characters": characters, "skipped files": len(skipped)}
    workspace.table("Documents by source", ["source", "documents"], per_source.most_common())
    if skipped:
        workspace.table(
            "Files left out", ["source", "file", "reason"], [tuple(entry.values()) for entry in skipped[:50]]
        )
    workspace.say(f"{documents:,} documents, {characters / 1e6:,.1f} M characters, {_skip_summary(skipped)}")


def _module_of(source: Source) -> ModuleType:
    return {"packages": packages, "files": files, "huggingface": hub}[source.kind]


def _recorder(source: str, skipped: list[dict[str, str]]) -> OnSkip:
    return lambda uri, reason: skipped.append({"source": source, "uri": uri, "reason": reason})


def _skip_summary(skipped: list[dict[str, str]]) -> str:
    if not skipped:
        return "no file left out"
    first = skipped[0]
    return f"[yellow]{len(skipped)} files left out[/], the first: {first['uri']} ({first['reason']})"
