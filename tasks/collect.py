"""Stage: bring the documents of all sources together in one schema."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from corpus.documents import Item, write_shards
from corpus.kept.ledger import LICENSE, Ledger
from corpus.kept.segments import Segments, last_listing
from corpus.reading.locations import identity_of
from model_code.config.strict import Config
from tasks.collection.kept_sources import KeptSource, Source, locked
from tasks.collection.meta_check import check_meta
from tasks.contract.errors import SourceError
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace


class CollectConfig(Config):
    """Where documents come from."""

    sources: tuple[Source, ...] = Field(min_length=1, description="the sources, in the order of trust")
    evaluation_sets: tuple[Source, ...] = Field(
        default=(),
        description="sources of texts that models are judged on; cleaning drops what contains them",
    )
    allowed_licenses: tuple[str, ...] | None = Field(
        default=None,
        description="documents under another licence, or none, are left out; none: all are taken",
    )
    max_bad_share: float = Field(
        default=0.1, ge=0, le=1, description="collecting stops when more of a source's records can't be used"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = Counter(source.name for source in (*self.sources, *self.evaluation_sets))
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two sources are named {twice[0]!r}; give each its own `name`")
        return self


class Snapshot(BaseModel):
    """What the sources hold at this moment, the stage's input, by the sources' names: a digest of each, and
    the name under which what is read of it is kept.
    """

    model_config = ConfigDict(frozen=True)

    listings: dict[str, str]
    kept: dict[str, str]
    _items: dict[str, list[Item]] = PrivateAttr(default_factory=dict)

    def items(self, place: KeptSource) -> list[Item]:
        """The items of a source when the snapshot was taken (now, if it comes from another process)."""
        name = place.source.name
        return self._items[name] if name in self._items else place.list_items()


class Changes(BaseModel):
    """URIs of a source's items that came, changed or went since its last collection; how many did not.

    Only items with documents count: a page that is gone may still be in its sitemap.
    """

    new: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: int


def snapshot(config: CollectConfig, home: Path) -> Snapshot:
    """List every source, so that a changed file, page or package makes a new corpus.

    Args:
        home: the directory of the store, which knows what was listed before and keeps fetched pages.

    Raises:
        SourceError: a source can't be found or reached.
    """
    sources = (*config.sources, *config.evaluation_sets)
    places = [KeptSource(source, home) for source in sources]
    items = {place.source.name: place.list_items() for place in places}
    _check_apart(config, items)
    taken = Snapshot(
        listings={place.source.name: place.listing_digest(items[place.source.name]) for place in places},
        kept={place.source.name: place.name for place in places},
    )
    taken._items.update(items)
    return taken


def _check_apart(config: CollectConfig, items: Mapping[str, Sequence[Item]]) -> None:
    """Refuse a file that is both read and judged by: cleaning would drop all of it as contaminated.

    Of one file different fields may be read, such as contexts and questions.
    """
    if not config.evaluation_sets:
        return
    read = {
        (identity_of(item.uri), getattr(source, "text_field", "")): source.name
        for source in config.sources
        for item in items[source.name]
    }
    for source in config.evaluation_sets:
        for item in items[source.name]:
            if name := read.get((identity_of(item.uri), getattr(source, "text_field", ""))):
                raise SourceError(
                    f"collect: {item.uri} is in collect.sources ({name}) and in collect.evaluation_sets "
                    f"({source.name}); what is learnt can't judge: narrow the source's pattern, or take the "
                    "evaluation set out"
                )


@stage()
def collect(snapshot: Snapshot, config: CollectConfig, workspace: Workspace) -> None:
    """Write `documents/` and `evaluation/` (shards), and the books: `ledger.parquet` has every item,
    `skipped.parquet` every record that was left out, `changes.json` what differs from the last time.

    Raises:
        SourceError: a source can't be read, too much of it can't be used, or there is no document at all.
    """
    sources = (*config.sources, *config.evaluation_sets)
    places = {source.name: KeptSource(source, workspace.store.home) for source in sources}
    items = {name: snapshot.items(place) for name, place in places.items()}
    with locked(places.values()):
        kept = _read(places, items, workspace)
        found = {name: [item for item in items[name] if kept[name].kept[item].documents] for name in places}
        changes = {name: _changes(place, found[name]) for name, place in places.items()}
        ledger = Ledger(workspace.directory)
        read = {name: _enter(name, segments, items[name], ledger) for name, segments in kept.items()}
        ledger.check(read, config.max_bad_share)
        for name, place in places.items():
            check_meta(place, kept[name], items[name])
        corpus, evaluation = _Texts(), _Texts()
        for texts, part, licenses, folder in (
            (corpus, config.sources, config.allowed_licenses, "documents"),
            (evaluation, config.evaluation_sets, None, "evaluation"),
        ):
            batches = (
                batch
                for source in part
                for batch in _documents(source.name, kept[source.name], items[source.name], licenses, ledger)
            )
            write_shards(texts.counted(batches), workspace.directory / folder)
        ledger.close()
        if not corpus.documents:
            raise SourceError(
                f"collect: no document in {', '.join(source.name for source in config.sources)}"
                f"{_reasons(ledger)}; check the sources in the recipe"
            )
        for name, segments in kept.items():
            segments.remember(found[name])
    _say(corpus, evaluation, ledger, changes, workspace)


class _Texts:
    """Counts documents and characters on their way to the disk."""

    def __init__(self) -> None:
        self.documents = self.characters = 0
        self.by_source: Counter[str] = Counter()

    def counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.documents += batch.num_rows
            self.characters += pc.sum(pc.utf8_length(batch["text"])).as_py() or 0
            if batch.num_rows:
                self.by_source[batch["source"][0].as_py()] += batch.num_rows
            yield batch


def _changes(place: KeptSource, items: Sequence[Item]) -> Changes:
    before = last_listing(place.directory)
    now = {item.uri: item for item in items}
    return Changes(
        new=[uri for uri in now if uri not in before],
        changed=[uri for uri in now if uri in before and now[uri] != before[uri]],
        removed=[uri for uri in before if uri not in now],
        unchanged=sum(before.get(uri) == item for uri, item in now.items()),
    )


def _read(
    places: Mapping[str, KeptSource], items: Mapping[str, Sequence[Item]], workspace: Workspace
) -> dict[str, Segments]:
    """Bring every source up to date, one after the other."""
    kept, started, before = {}, time.monotonic(), 0
    with workspace.progress("documents read", total=None) as advance:
        for name, place in places.items():
            read = 0

            def tell(documents: int, name: str = name, before: int = before) -> None:
                nonlocal read
                read = documents
                rate = (before + documents) / (time.monotonic() - started)
                advance(before + documents, note=f"from {name}, {rate:,.0f} documents/s")

            kept[name] = place.bring_up_to_date(items[name], tell)
            before += read
    return kept


def _enter(source: str, segments: Segments, items: Sequence[Item], ledger: Ledger) -> int:
    """Enter what could not be read of a source into the books; returns the number of documents."""
    for _, batches in segments.skipped(items):
        for batch in batches:
            for uri, reason, detail in zip(*batch.to_pydict().values(), strict=True):
                ledger.skip(source, uri, reason, detail)
    return sum(segments.kept[item].documents for item in items)


def _documents(
    source: str,
    segments: Segments,
    items: Sequence[Item],
    licenses: Sequence[str] | None,
    ledger: Ledger,
) -> Iterator[pa.RecordBatch]:
    """The documents of a source that are under one of the licences."""
    for item, batches in segments.documents(items):
        documents = 0
        for batch in batches:
            if licenses is not None:
                batch = _allowed(batch, licenses, source, ledger)
            documents += batch.num_rows
            yield batch
        place = segments.kept[item]
        ledger.item(source, item, documents, place.skipped + place.documents - documents)


def _allowed(batch: pa.RecordBatch, licenses: Sequence[str], source: str, ledger: Ledger) -> pa.RecordBatch:
    is_allowed = pc.is_in(batch["license"], pa.array(licenses, pa.string()))
    refused = batch.filter(pc.invert(is_allowed))
    for uri, license in zip(refused["uri"].to_pylist(), refused["license"].to_pylist(), strict=True):
        ledger.skip(source, uri, LICENSE, license or "none stated")
    return batch.filter(is_allowed)


def _reasons(ledger: Ledger) -> str:
    reasons = sum(ledger.reasons.values(), Counter())
    counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(5))
    return f" (left out: {counts})" if counts else ""


def _say(
    corpus: _Texts, evaluation: _Texts, ledger: Ledger, changes: Mapping[str, Changes], workspace: Workspace
) -> None:
    """Write `changes.json` and tell the person who watches."""
    (workspace.directory / "changes.json").write_text(
        json.dumps({name: change.model_dump() for name, change in changes.items()}, indent=1) + "\n",
        encoding="utf-8",
    )
    workspace.volatile.add("changes.json")
    new, changed, removed = (
        sum(len(getattr(change, kind)) for change in changes.values())
        for kind in ("new", "changed", "removed")
    )
    unchanged = sum(change.unchanged for change in changes.values())
    left_out = ledger.skipped()
    workspace.counts |= {
        "documents": corpus.documents,
        "characters": corpus.characters,
        "evaluation documents": evaluation.documents,
        "items": new + changed + unchanged,
        "records left out": left_out,
    }
    by_source = (corpus.by_source + evaluation.by_source).most_common()
    workspace.table("Documents by source", ["source", "documents"], by_source)
    workspace.table(
        "Left out",
        ["source", "reason", "records"],
        [(source, *row) for source, reasons in ledger.reasons.items() for row in reasons.most_common()],
    )
    workspace.say(
        f"{corpus.documents:,} documents, {corpus.characters / 1e6:,.1f} M characters"
        + (f", {evaluation.documents:,} to evaluate on" if evaluation.documents else "")
        + (f", [yellow]{left_out:,} records left out[/]{_reasons(ledger)}" if left_out else "")
    )
    workspace.say(f"items: {new:,} new, {changed:,} changed, {unchanged:,} unchanged, {removed:,} removed")
    if changed or removed:
        workspace.say(
            "what was changed or removed is no longer kept here; artifacts of earlier runs hold it until "
            "`textmill gc`"
        )
