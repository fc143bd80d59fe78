"""The engine, a process that talks in JSON lines: `python -m corpus.cleaning.engine.process JOB.json`.

    count lines   per shard    which lines many documents of one source share
    clean         per shard    the kernel on every batch; texts, statistics and features go to the scratch
    group         all at once  duplicates and mixture, decided on features of a few bytes a document
    write         per shard    documents, dropped, statistics

No pass holds more than some batches in memory, and shards are worked on wherever the executor wants.
Cleaned shards outlive a kill, so a second attempt goes on after them.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from corpus.atomic import whole_file
from corpus.cleaning.config import CleanConfig
from corpus.cleaning.duplicates.decontamination import Index
from corpus.cleaning.duplicates.document_features import Features
from corpus.cleaning.engine.cleaning_report import cluster_sizes, make_report, merged
from corpus.cleaning.engine.executors import MapShards, open_executor
from corpus.cleaning.engine.kept_and_dropped import (
    CLUSTERS_SCHEMA,
    CONTAMINATED_SCHEMA,
    Verdicts,
    decide,
    write_shard,
)
from corpus.cleaning.engine.kernel import repaired_and_masked
from corpus.cleaning.engine.mixing import check_sources
from corpus.cleaning.engine.part_files import join_parquet
from corpus.cleaning.engine.progress import Progress, Say
from corpus.cleaning.engine.shard_passes import (
    CleaningPlan,
    Shard,
    clean_shard,
    count_shards,
    read_batches,
    warm_up,
)
from corpus.documents import SCHEMA, shard_paths
from corpus.errors import SourceError

LARGEST_CLUSTERS = 10
LINE_TABLES, SHARDS_PER_TABLE = 8, 4


class CleaningJob(BaseModel):
    """What to clean, where to write it and what to find again after a kill, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Path
    output: Path
    scratch: Path
    config: CleanConfig = CleanConfig()


def main(arguments: list[str]) -> int:
    """Run the job of the JSON file named by `arguments`; the exit code is 1 after an error event."""
    try:
        [path] = arguments
        counts = run(CleaningJob.model_validate_json(Path(path).read_bytes()), _say)
    except Exception as error:
        traceback.print_exc()
        _say({"event": "error", "message": str(error) or type(error).__name__})
        return 1
    _say({"event": "done", "counts": counts})
    return 0


def run(job: CleaningJob, say: Say) -> dict[str, Any]:
    """Write the artifact of the clean stage below the job's output; returns the counts of its report.

    Raises:
        SourceError: the input has no shards, or not of the documents' schema.
        CorpusError: the executor is not to be had, or the documents don't add up.
    """
    shards = _shards(job.input / "documents")
    documents = sum(pq.read_metadata(shard.path).num_rows for shard in shards)
    sources = _sources(shards)
    check_sources(sources, job.config.mix)
    plan = CleaningPlan(job.config, sources, job.scratch, job.output)
    progress = Progress(documents, say)
    warm_up(plan)
    with open_executor(job.config) as map_shards:
        progress.begin("counting lines")
        _count_lines(plan, shards, map_shards, progress)
        _index_evaluation(plan, job.input / "evaluation")
        progress.begin("cleaning")
        for cleaned in map_shards(partial(clean_shard, plan), shards):
            progress.advance(cleaned.documents, cleaned.bytes)
        progress.begin("finding duplicates")
        verdicts = decide(plan, shards, progress.at)
        verdicts.save(plan.verdicts)
        progress.begin("writing")
        sums = []
        for part in map_shards(partial(write_shard, plan), shards):
            sums.append(part)
            progress.advance(pc.sum(part["documents"]).as_py() or 0)
    for name, schema in (("clusters", CLUSTERS_SCHEMA), ("contaminated", CONTAMINATED_SCHEMA)):
        parts = [shard.part(plan.scratch / name) for shard in shards]
        join_parquet(parts, plan.output / f"{name}.parquet", schema)
    largest = _largest_clusters(verdicts, Features([shard.features(plan) for shard in shards]))
    report = make_report(merged(sums), job.config, cluster_sizes(verdicts.members), largest, documents)
    (job.output / "report.json").write_text(
        json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    counts: dict[str, Any] = report["counts"]
    return counts


def _count_lines(
    plan: CleaningPlan, shards: Sequence[Shard], map_shards: MapShards, progress: Progress
) -> None:
    """Write in how many documents of its source each line occurs."""
    if plan.lines.exists():
        return
    # A table is large, so few are sent; the counts are sums, and how shards are grouped does not show.
    tables = min(LINE_TABLES, 1 + len(shards) // SHARDS_PER_TABLE)
    groups = [shards[first::tables] for first in range(tables)]
    counted = map_shards(partial(count_shards, plan), groups)
    table = next(counted)
    for number, part in enumerate(counted, start=1):
        progress.at(number / tables)
        table.add(part)
    with whole_file(plan.lines) as unfinished:
        table.save(unfinished)


def _index_evaluation(plan: CleaningPlan, folder: Path) -> None:
    """Write the runs of words that no document may share with an evaluation set."""
    batches = [batch for path in shard_paths(folder) for batch in read_batches(path, ["text", "uri"])]
    documents = pa.Table.from_batches(batches).combine_chunks()
    texts, _ = repaired_and_masked(documents["text"].combine_chunks(), plan.config)
    index = Index.build(texts, documents["uri"].to_pylist(), plan.config.decontaminate)
    with whole_file(plan.evaluation) as unfinished:
        index.save(unfinished)


def _shards(folder: Path) -> list[Shard]:
    shards = [Shard(number, path) for number, path in enumerate(shard_paths(folder))]
    for shard in shards:
        try:
            missing = set(SCHEMA.names) - set(pq.read_schema(shard.path).names)
        except pa.ArrowException as error:
            raise SourceError(
                f"{shard.path}: not a readable Parquet shard ({error}); collect again"
            ) from error
        if missing:
            raise SourceError(f"{shard.path}: no column {', '.join(sorted(missing))}; collect again")
    return shards


def _sources(shards: Sequence[Shard]) -> tuple[str, ...]:
    """The sources in the order in which they were collected, which is that of trust."""
    found: dict[str, None] = {}
    for shard in shards:
        for batch in pq.ParquetFile(shard.path).iter_batches(columns=["source"], use_threads=False):
            found |= dict.fromkeys(pc.unique(batch["source"]).to_pylist())
    return tuple(found)


def _largest_clusters(verdicts: Verdicts, features: Features) -> list[dict[str, Any]]:
    rows = np.flatnonzero(verdicts.members > 1)
    rows = rows[np.argsort(-verdicts.members[rows], kind="stable")][:LARGEST_CLUSTERS]
    if not len(rows):
        return []
    documents = features.take(rows, ["id", "uri"]).to_pylist()
    return [
        {"id": document["id"].hex(), "uri": document["uri"], "documents": int(verdicts.members[row])}
        for row, document in zip(rows, documents, strict=True)
    ]


def _say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
