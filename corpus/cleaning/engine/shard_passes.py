"""What is done with one shard by itself: its lines are counted, and the kernel is put over it.

Each function takes a plan and a shard, goes through it batch by batch, and answers with something
small; what it makes lies in files below the plan's scratch and output. So they run in any process on
any machine that sees the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.atomic import whole_file
from corpus.cleaning.config import CleanConfig
from corpus.cleaning.duplicates.decontamination import Index
from corpus.cleaning.duplicates.document_features import write_features
from corpus.cleaning.engine.kernel import Kernel
from corpus.cleaning.engine.part_files import read_arrow, write_arrow
from corpus.cleaning.filters.boilerplate import LineTable, count_lines
from corpus.documents import SCHEMA, Document, to_batches

_ROWS, _BYTES = 1024, 8_000_000


@dataclass(frozen=True, slots=True)
class CleaningPlan:
    """What all shards share: the config, the sources in the order of trust, and where files lie."""

    config: CleanConfig = field(hash=False)
    sources: tuple[str, ...]
    scratch: Path
    output: Path

    @property
    def lines(self) -> Path:
        """Lines that many documents of one source share."""
        return self.scratch / "lines.npy"

    @property
    def evaluation(self) -> Path:
        """Runs of words of the evaluation sets."""
        return self.scratch / "evaluation.npz"

    @property
    def verdicts(self) -> Path:
        """What grouping found, an array per question."""
        return self.scratch / "verdicts"


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file of the input, counted from 0."""

    number: int
    path: Path

    def cleaned(self, plan: CleaningPlan) -> Path:
        """The shard after the kernel."""
        return plan.scratch / "cleaned" / f"part-{self.number:05d}.arrow"

    def features(self, plan: CleaningPlan) -> Path:
        """By what its documents are compared with others."""
        return plan.scratch / "features" / f"part-{self.number:05d}.arrow"

    def part(self, folder: Path) -> Path:
        """The part of the output in `folder`."""
        return folder / f"part-{self.number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many documents a shard has, and how many bytes of text they were."""

    documents: int
    bytes: int


def count_shards(plan: CleaningPlan, shards: Sequence[Shard]) -> LineTable:
    """Count in how many documents of its source each line occurs."""
    table = LineTable(plan.config.boilerplate)
    for shard in shards:
        for batch in read_batches(shard.path, ["text", "source"]):
            count_lines(batch["text"], batch["source"], table)
    return table


def clean_shard(plan: CleaningPlan, shard: Shard) -> Cleaned:
    """Put the kernel over the shard; one that an earlier attempt finished is left as it is."""
    if not (shard.cleaned(plan).exists() and shard.features(plan).exists()):
        _clean(plan, shard)
    documents = size = 0
    for batch in read_arrow(shard.cleaned(plan), ["collected_bytes"]):
        documents += batch.num_rows
        size += pc.sum(batch.column(0)).as_py() or 0
    return Cleaned(documents, size)


def _clean(plan: CleaningPlan, shard: Shard) -> None:
    kernel = _kernel(plan)
    staying: list[pa.RecordBatch] = []
    signatures: list[npt.NDArray[np.uint32]] = []

    def cleaned() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in read_batches(shard.path):
            result, batch_signatures = kernel.clean(batch)
            rows = pa.array(np.arange(first, first + batch.num_rows))
            narrow = result.select(["id", "uri", "source", "characters", "filter"]).append_column("row", rows)
            staying.append(narrow.filter(pc.is_null(narrow["filter"])))
            signatures.append(batch_signatures)
            first += batch.num_rows
            yield result

    write_arrow(shard.cleaned(plan), cleaned(), kernel.schema)
    documents = pa.Table.from_batches(staying).combine_chunks()
    with whole_file(shard.features(plan)) as unfinished:
        write_features(
            unfinished,
            rows=documents["row"].to_numpy(),
            ids=documents["id"].to_pylist(),
            uris=documents["uri"].combine_chunks(),
            lengths=documents["characters"].to_numpy(),
            trust=pc.index_in(documents["source"], pa.array(plan.sources, pa.string())).to_numpy(),
            signatures=np.concatenate(signatures),
        )


def read_batches(path: Path, columns: Sequence[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
    """The shard's rows, at most 1,024 at a time and, but for a single long document, 8 MB of text.

    A shard without documents is one batch without rows.
    """
    file = pq.ParquetFile(path)
    if not file.metadata.num_rows:
        yield pa.RecordBatch.from_pylist([], file.schema_arrow).select(list(columns))
    for batch in file.iter_batches(_ROWS, columns=list(columns), use_threads=False):
        size = np.cumsum(pc.binary_length(batch["text"]).to_numpy())
        start = 0
        while start < batch.num_rows:
            before = size[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(size, before + _BYTES, side="right")))
            yield batch.slice(start, end - start)
            start = end


def warm_up(plan: CleaningPlan) -> None:
    """Compile all that the passes use, once, before several processes would each do so."""
    batch = next(to_batches([Document("Compile me, once and for all.", "warm-up", "warm-up")]))
    table = LineTable(plan.config.boilerplate)
    count_lines(batch["text"], batch["source"], table)
    index = Index.build(batch["text"], batch["uri"].to_pylist(), plan.config.decontaminate)
    # Read-only, as what is mapped into memory is: for the compiler that is another type.
    table.counts.setflags(write=False)
    Kernel(plan.config, table, index).clean(batch)


@lru_cache(maxsize=1)
def _kernel(plan: CleaningPlan) -> Kernel:
    """One kernel per process; its tables are read once."""
    lines = LineTable.load(plan.lines, plan.config.boilerplate) if plan.lines.exists() else None
    if lines is not None and not lines.has_boilerplate(plan.sources):
        lines = None  # most corpora have none, and need not be looked through for it
    evaluation = Index.load(plan.evaluation) if plan.evaluation.exists() else None
    return Kernel(plan.config, lines, evaluation)
