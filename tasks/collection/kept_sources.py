"""Bring what is kept of a source up to date: list its items, read those that are new or changed."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from itertools import takewhile
from multiprocessing import get_context, parent_process
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from corpus.documents import Document, Item
from corpus.kept.segments import Segments, SegmentWriter, last_listing
from corpus.sources import SourceReader, keeps_files, reader_of, sources
from tasks.contract import console
from tasks.contract.artifact import canonical, sha256_text
from tasks.contract.code_fingerprint import code_fingerprint
from tasks.contract.errors import SourceError
from tasks.contract.store import Store

if TYPE_CHECKING:
    Source = Any  # which kinds there are is found out as the program starts
else:
    Source = Annotated[reduce(or_, (one.CONFIG for one in sources().values())), Field(discriminator="kind")]

# Starting processes takes a second or two, so they are only for what is left after that.
SECONDS_ALONE = 2.0
CHUNKS_PER_WORKER = 8
LONGEST_CHUNK = 512
TELL_EVERY = 200


class _Terminal:
    """The person who watches the run."""

    def say(self, message: str) -> None:
        console.say(f"  {console.escaped(message)}")

    def warn(self, message: str) -> None:
        console.say(f"  [yellow]{console.escaped(message)}[/]")

    def progress(self, what: str) -> AbstractContextManager[console.Advance]:
        return console.progress("collect", what, None)


@dataclass(frozen=True)
class KeptSource:
    """The place below `home` where what was read of one source is kept."""

    source: Source
    home: Path

    @cached_property
    def name(self) -> str:
        """32 hex digits for the source's config and for what it names on this machine."""
        config = self.source.model_dump(mode="json")
        place = sources()[self.source.kind].place(self.source)
        return sha256_text(canonical([config, place] if place else config))[:32]

    @property
    def directory(self) -> Path:
        """Where the segments are."""
        return self.home / "collected" / self.name

    @property
    def reader(self) -> SourceReader:
        """What reads the source."""
        return reader_of(self.source.kind, self.home / "downloads" / self.name)

    @property
    def reader_digest(self) -> str:
        """Changes when the code that reads, or the library that it reads with, does."""
        return f"{self.reader.reader_version()} {_code(self.source.kind)}"

    def list_items(self) -> list[Item]:
        """The items of the source as they are now.

        Raises:
            SourceError: the source can't be found or reached.
        """
        known = {uri: item.version for uri, item in last_listing(self.directory).items()}
        with locked([self]) if keeps_files(self.source.kind) else ExitStack():
            return list(dict.fromkeys(self.reader.items(self.source, known, _Terminal())))

    def listing_digest(self, listing: Sequence[Item]) -> str:
        """Changes when the source's config, an item or the reader does (sha256)."""
        return sha256_text(canonical([self.name, self.reader_digest, *map(list, listing)]))

    def bring_up_to_date(self, listing: Sequence[Item], advance: Callable[[int], None]) -> Segments:
        """Read what is not kept yet, forget what is no longer listed, and return what is kept then.

        An interrupted call leaves what it has read to the next one. Hold the source's lock around it.

        Args:
            advance: is told now and then how many documents have been read.

        Raises:
            SourceError: the source can't be read.
        """
        segments = Segments(self.directory, self.reader_digest)
        missing = segments.missing(listing)
        if missing:
            left, read = self._read_alone(missing, advance)
            if left:
                self._read_together(left, lambda count: advance(read + count))
            segments.refresh()
        segments.tidy(listing)
        return segments

    def read(self, items: Iterable[Item], on_document: Callable[[], None]) -> int:
        """Read the items into new segments; returns their number."""
        number, reader = 0, self.reader
        with SegmentWriter(self.directory, self.reader_digest) as writer:
            for item in items:
                documents = reader.read(self.source, item, writer.skip)
                writer.write(item, _tapped(documents, on_document))
                number += 1
        return number

    def _read_alone(
        self, items: Sequence[Item], advance: Callable[[int], None]
    ) -> tuple[Sequence[Item], int]:
        """Read in this process for a while; what is left, and the number of documents read."""
        until = time.monotonic() + SECONDS_ALONE
        documents = 0

        def count() -> None:
            nonlocal documents
            documents += 1
            if documents % TELL_EVERY == 0:
                advance(documents)

        done = self.read(takewhile(lambda _: time.monotonic() < until, items), count)
        return items[done:], documents

    def _read_together(self, items: Sequence[Item], advance: Callable[[int], None]) -> None:
        """Read in as many processes as there are cores, chunks of neighbouring items in each."""
        workers = min(os.cpu_count() or 1, len(items))
        size = min(LONGEST_CHUNK, -(-len(items) // (workers * CHUNKS_PER_WORKER)))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        # Forking a process that has threads (Prefect has) can deadlock.
        context = get_context("forkserver")
        documents, stop = context.Value("q", 0), context.Event()
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin_worker, initargs=(documents, stop)
        ) as pool:
            waiting = {pool.submit(_read_chunk, self, chunk) for chunk in chunks}
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.5)
                    advance(documents.value)
                    for chunk in done:
                        chunk.result()
            except BrokenProcessPool as error:
                raise SourceError(
                    f"collect: a process that read {self.source.name} was killed, most likely because the "
                    "memory was full; what was read before is kept, run again on a machine with more"
                ) from error
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@contextmanager
def locked(places: Iterable[KeptSource]) -> Iterator[None]:
    """Hold the locks of these sources; waits for another run that collects from one of them."""
    with ExitStack() as stack:
        # In one order everywhere, so that two runs never wait for each other.
        for place in sorted(places, key=lambda place: place.name):
            store = Store(place.home)
            with store.lock("collected", place.name, blocking=False) as free:
                if not free:
                    name = console.escaped(place.source.name)
                    console.say(f"collect: another run is reading {name}; waiting for it")
            stack.enter_context(store.lock("collected", place.name))
        yield


def forget_unused(store: Store) -> int:
    """Remove what is kept of sources that no artifact in the store was collected from.

    What a running process uses is left alone. Returns the bytes freed.
    """
    used, freed = set[str](), 0
    for manifest in store.manifests():
        if manifest.stage == "collect":
            used |= set(manifest.inputs["snapshot"].get("kept", {}).values())
    for place in [*store.home.glob("collected/*"), *store.home.glob("downloads/*")]:
        if place.name not in used:
            with store.lock("collected", place.name, blocking=False) as free:
                if free:
                    freed += sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
                    shutil.rmtree(place)
    return freed


class _Stopped(Exception):
    """The process that gave out the work has gone on without it."""


@cache
def _code(kind: str) -> str:
    source = sources()[kind]
    return code_fingerprint([source.__name__, *source.CODE])[:16]


def _tapped(documents: Iterator[Document], on_document: Callable[[], None]) -> Iterator[Document]:
    for document in documents:
        yield document
        on_document()


_documents: Any = None
_stop: Any = None


def _begin_worker(documents: Any, stop: Any) -> None:
    global _documents, _stop
    _documents, _stop = documents, stop
    # Workers wait for work on a queue, which a parent that is killed never closes.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _read_chunk(place: KeptSource, items: Sequence[Item]) -> None:
    def count() -> None:
        with _documents.get_lock():
            _documents.value += 1
        if _stop.is_set():
            raise _Stopped

    place.read(items, count)
