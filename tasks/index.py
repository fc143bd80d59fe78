"""Stage: what the endpoint searches, as vectors by the exported model, added to the registered version.

The artifact is the folder that `export` wrote and the collection in it: all that is served of a version.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from corpus.documents import document_id, read_documents
from corpus.examples.splits import SPLITS
from corpus.examples.written_examples import read_split
from model_code.config.strict import Config
from model_code.served.collection import FOLDER
from tasks.collect import CollectConfig, Snapshot, collect
from tasks.collection.kept_sources import Source
from tasks.contract.artifact import Artifact, Manifest, canonical, sha256_text
from tasks.contract.console import escaped, say
from tasks.contract.errors import StageError
from tasks.contract.run import PENDING, Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.deployment.collection_files import CollectionWriter, Searched
from tasks.deployment.parity import form_in
from tasks.register import registered_version
from tasks.tracking.registry import SearchedCollection, by_version, client, reachable
from tasks.tracking.version_files import INDEXED, join_version, version_identity, what_differs

AT_ONCE = 512  # documents
SIGNATURE = "signature.json"  # as `export` writes one
DOCUMENTS = "documents"  # the folder of `clean` and of `collect`


class IndexConfig(Config):
    """What the endpoint of a `matching` model searches: one of both keys."""

    of: Literal["corpus", "examples"] | None = Field(
        None,
        description="`corpus`: the documents that cleaning kept; `examples`: the second texts of all "
        "examples.",
    )
    sources: tuple[Source, ...] = Field(
        (), description="Or documents of their own, as they are: nothing of them is cleaned or masked"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.of) == bool(self.sources):
            raise ValueError("give one of both: `of` (corpus or examples), or `sources`")
        self.to_collect()
        return self

    def to_collect(self) -> CollectConfig | None:
        """How the sources are collected, as those of a corpus are."""
        return CollectConfig(sources=self.sources) if self.sources else None


def collection_of(given: Artifact | Snapshot, config: IndexConfig) -> SearchedCollection:
    """What is searched, as the registry tells versions apart by it; pending where it is still to be made."""
    if isinstance(given, Artifact) and given.digest == PENDING:
        return SearchedCollection(digest=PENDING)
    source = given.digest if isinstance(given, Artifact) else given.listings
    return SearchedCollection(digest=sha256_text(canonical([source, config.what_counts()])))


def still_in_registry(manifest: Manifest, config: IndexConfig, run: Run) -> bool:
    """Whether the registered version has the collection among its files, byte for byte."""
    if not reachable():
        return False
    version = by_version(client(), manifest.external["model"], int(manifest.external["version"]))
    if version is None:
        return False
    if differs := what_differs(INDEXED, version, manifest, run.store):
        say(f"[yellow]index: {escaped(differs)}[/]")
    return not differs


@stage(runs=("model_code.served.",), is_current=still_in_registry)
def index(
    given: Artifact | Snapshot,
    registered: Artifact,
    exported: Artifact,
    config: IndexConfig,
    workspace: Workspace,
) -> None:
    """Write `onnx/`, what `export` made with the folder `collection` in it, and add that to the version.

    `given` is the artifact of `clean` or of `examples`, or what the sources hold.
    Documents that are longer than the model reads are searched by their passages; a text that is there twice
    is one document.

    Raises:
        SourceError: a source can't be read.
        StageError: there is nothing to search, or too much.
    """
    folder = workspace.directory / "onnx"
    shutil.copytree(workspace.path(exported) / "onnx", folder)
    form = form_in(folder)
    total, documents = _documents(given, config, workspace)
    with (
        CollectionWriter(folder / FOLDER, form) as writer,
        workspace.progress("documents", total) as advance,
    ):
        for done, batch in documents:
            writer.add(batch)
            advance(done, note=f"{writer.passages:,} passages")
    if not writer.documents:
        raise StageError(
            f"index: the collection is empty: none of {total:,} documents has a word that the model reads; "
            "see what was collected, or leave out index"
        )
    sign(folder)
    version = registered_version(registered, workspace)
    join_version(INDEXED, version, folder / FOLDER, {})
    workspace.external |= version_identity(version)
    size = sum(path.stat().st_size for path in (folder / FOLDER).iterdir())
    workspace.counts |= {"documents": writer.documents, "passages": writer.passages, "bytes": size}
    workspace.counts |= {name: count for name, count in writer.remarks.items() if count}
    remarks = "; ".join(f"{count:,} {what}" for what, count in writer.remarks.items() if count)
    workspace.say(
        f"{writer.documents:,} documents, searched by {writer.passages:,} passages, {size / 1e6:.1f} MB, "
        f"added to {version.model} version {version.version}" + (f" ({remarks})" if remarks else "")
    )


Batches = Iterator[tuple[int, list[Searched]]]


def _documents(given: Artifact | Snapshot, config: IndexConfig, workspace: Workspace) -> tuple[int, Batches]:
    """How many documents there are, and batches of them, each with how many there have been."""
    if config.of == "examples":
        assert isinstance(given, Artifact)
        every = list(_of_examples(workspace.path(given)))
        starts = range(0, len(every), AT_ONCE)
        return len(every), ((start, every[start : start + AT_ONCE]) for start in starts)
    if isinstance(given, Snapshot):
        place = workspace.scratch / "collected"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        how = config.to_collect()
        assert how is not None
        collect.function(given, how, Workspace("index", workspace.key, workspace.store, place))
    else:
        place = workspace.path(given)
    total = sum(batch.num_rows for batch in read_documents(place / DOCUMENTS, ["id"]))
    return total, _of_shards(place / DOCUMENTS)


def _of_shards(folder: Path) -> Batches:
    done = 0
    for rows in read_documents(folder, ["id", "text", "source", "uri", "license"]):
        for start in range(0, rows.num_rows, AT_ONCE):
            batch = [Searched(**row) for row in rows.slice(start, AT_ONCE).to_pylist()]
            done += len(batch)
            yield done, batch


def _of_examples(folder: Path) -> Iterator[Searched]:
    """The second texts of all examples; their place is that of the example."""
    for split in SPLITS:
        for example in read_split(folder, split):
            if text := example.get("second"):
                yield Searched(document_id(text), text, split, str(example["id"]), None)


def sign(folder: Path) -> None:
    """Say beside the collection of a served folder what its answers are now that it has one."""
    signature: dict[str, Any] = json.loads((folder / SIGNATURE).read_text(encoding="utf-8"))
    signature["outputs"] = form_in(folder).outputs
    (folder / FOLDER / SIGNATURE).write_text(json.dumps(signature, indent=2) + "\n", encoding="utf-8")
