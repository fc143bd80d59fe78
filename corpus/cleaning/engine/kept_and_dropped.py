"""What becomes of the documents that the kernel let stay, and the artifact that is written of it.

Grouping sees only features, a few bytes a document, and leaves its verdicts in arrays on the disk; each
shard is then written with its slice of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.cleaning.duplicates.document_features import Features
from corpus.cleaning.duplicates.verified_groups import find_clusters
from corpus.cleaning.engine.cleaning_report import summed
from corpus.cleaning.engine.mixing import draws, left_out
from corpus.cleaning.engine.part_files import Write, parquet_part, read_arrow, values_at_rows
from corpus.cleaning.engine.shard_passes import CleaningPlan, Shard
from corpus.documents import CLEANED_SCHEMA

DROPPED_SCHEMA = pa.schema(
    [*CLEANED_SCHEMA, ("filter", pa.string()), ("value", pa.string()), ("duplicate_of", pa.string())]
)
CLUSTERS_SCHEMA = pa.schema(
    [
        *(CLEANED_SCHEMA.field(name) for name in ("id", "collected_id", "uri", "source")),
        ("representative", pa.string()),
        ("similarity", pa.float32()),
        ("exact", pa.bool_()),
    ]
)
CONTAMINATED_SCHEMA = pa.schema(
    [
        *(CLEANED_SCHEMA.field(name) for name in ("id", "collected_id", "uri")),
        ("evaluation_uri", pa.string()),
        ("ngram", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A row per document that the kernel let stay.

    Attributes:
        representative: int32[n], the row that stands for it; its own where none does.
        similarity: float32[n], to its representative.
        exact: bool[n], whether it goes because it has its representative's id.
        members: int32[n], how many documents it stands for, itself included.
        mixed_out: bool[n], whether mixing leaves it out.
    """

    representative: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    members: npt.NDArray[np.int32]
    mixed_out: npt.NDArray[np.bool_]

    def save(self, folder: Path) -> None:
        """Write an array per attribute."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.__slots__:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Verdicts:
        """What `save` wrote, mapped into memory rather than read."""
        return cls(
            *(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in cls.__slots__)
        )


def decide(plan: CleaningPlan, shards: Sequence[Shard], advance: Callable[[float], None]) -> Verdicts:
    """Find duplicates among all documents that stay, and draw the mixture from the rest."""
    paths = [shard.features(plan) for shard in shards]
    folder = plan.scratch / "grouping"
    folder.mkdir(exist_ok=True)
    clusters = find_clusters(
        paths,
        lambda number, rows: values_at_rows(shards[number].cleaned(plan), "text", rows),
        plan.config.duplicates,
        folder,
        advance,
    )
    features = Features(paths)
    ids = (
        features.words("id", folder / "ids").view(np.uint8) if len(features) else np.empty((0, 16), np.uint8)
    )
    trust = np.concatenate([shard["trust"].to_numpy() for shard in features.shards])
    mixed_out = left_out(ids, trust, clusters.kept, plan.sources, plan.config.mix)
    members = np.bincount(clusters.representative, minlength=len(features)).astype(np.int32)
    return Verdicts(clusters.representative, clusters.similarity, clusters.exact, members, mixed_out)


def write_shard(plan: CleaningPlan, shard: Shard) -> pa.Table:
    """Write the shard's parts of the artifact, every document once; returns the sums of its statistics."""
    outcome = _outcome(plan, shard)
    statistics: list[pa.RecordBatch] = []
    done = 0
    with ExitStack() as stack:

        def part(folder: Path, schema: pa.Schema) -> Write:
            return stack.enter_context(parquet_part(shard.part(folder), schema))

        keep = part(plan.output / "documents", CLEANED_SCHEMA)
        drop = part(plan.output / "dropped", DROPPED_SCHEMA)
        cluster = part(plan.scratch / "clusters", CLUSTERS_SCHEMA)
        contaminate = part(plan.scratch / "contaminated", CONTAMINATED_SCHEMA)
        for batch in read_arrow(shard.cleaned(plan)):
            stays = pc.is_null(batch["filter"])
            here = outcome.slice(done, pc.sum(stays).as_py() or 0)
            done += here.num_rows
            batch = _judged(batch, stays, here)
            kept = pc.is_null(batch["filter"])
            keep(batch.filter(kept).select(CLEANED_SCHEMA.names))
            drop(batch.filter(pc.invert(kept)).select(DROPPED_SCHEMA.names))
            statistics.append(batch.select(statistics_columns(batch.schema.names)))
            cluster(_clustered(batch.filter(stays), here))
            contaminated = batch.filter(pc.is_valid(batch["ngram"]))
            contaminate(contaminated.select(CONTAMINATED_SCHEMA.names))
        note = part(plan.output / "statistics", statistics[0].schema)
        for batch in statistics:
            note(batch)
    return summed(pa.Table.from_batches(statistics))


def statistics_columns(names: Sequence[str]) -> list[str]:
    """The columns of a row of the statistics: where the document is from, its verdict, what was counted."""
    counted = names[names.index("collected_bytes") : names.index("evaluation_uri")]
    return ["id", "uri", "source", "language", "license", "filter", *counted]


def _outcome(plan: CleaningPlan, shard: Shard) -> pa.RecordBatch:
    """What grouping decided about the shard's documents that stayed, a row for each in their order."""
    features = Features(sorted((plan.scratch / "features").glob("part-*.arrow")))
    verdicts = Verdicts.load(plan.verdicts)
    first, end = features.starts[shard.number : shard.number + 2].tolist()
    rows = np.arange(first, end)
    mine = Verdicts(*(getattr(verdicts, name)[first:end] for name in Verdicts.__slots__))
    gone = mine.representative != rows
    filters = np.select(
        [gone & mine.exact, gone, mine.mixed_out], ["exact_duplicate", "near_duplicate", "mix"], ""
    ).tolist()
    drawn = draws(_ids(features, rows), plan.config.mix.seed)
    figures = np.where(gone, mine.similarity, drawn).tolist()
    stands_for = _ids(features, mine.representative)
    representative = pa.array([bytes(value).hex() for value in stands_for], pa.string())
    return pa.record_batch(
        {
            "filter": pa.array([name or None for name in filters], pa.string()),
            "value": pa.array(
                [f"{figure:.4f}" if name else None for name, figure in zip(filters, figures, strict=True)],
                pa.string(),
            ),
            "duplicate_of": pc.if_else(pa.array(gone), representative, None),
            "representative": representative,
            "similarity": pa.array(mine.similarity, pa.float32()),
            "exact": pa.array(mine.exact | ~gone, pa.bool_()),
            "clustered": pa.array(gone | (mine.members > 1), pa.bool_()),
        }
    )


def _ids(features: Features, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """The ids of the documents at `rows`, uint8[n, 16]."""
    values = features.take(rows.astype(np.int64), ["id"])["id"].to_pylist() if len(rows) else []
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)


def _judged(batch: pa.RecordBatch, stays: pa.BooleanArray, outcome: pa.RecordBatch) -> pa.RecordBatch:
    """The kernel's `batch` with the verdicts of grouping on those rows that it let stay."""
    for name in ("filter", "value"):
        verdict = pc.replace_with_mask(batch[name], stays, outcome[name])
        batch = batch.set_column(batch.schema.get_field_index(name), name, verdict)
    nothing = pa.nulls(batch.num_rows, pa.string())
    return batch.append_column("duplicate_of", pc.replace_with_mask(nothing, stays, outcome["duplicate_of"]))


def _clustered(batch: pa.RecordBatch, outcome: pa.RecordBatch) -> pa.RecordBatch:
    """The members of duplicate clusters among the documents that the kernel let stay."""
    columns = {name: batch[name] for name in ("id", "collected_id", "uri", "source")}
    columns |= {name: outcome[name] for name in ("representative", "similarity", "exact")}
    return pa.record_batch(columns, schema=CLUSTERS_SCHEMA).filter(outcome["clustered"])
