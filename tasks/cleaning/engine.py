"""The cleaning engine: `python -m tasks.cleaning.engine JOB.json`, a process of its own.

Daft distributes batches to the kernel; it may abort at interpreter exit after its work is
done, which is why this is a child process that leaves with `os._exit`. It talks in JSON
lines on standard output. The corpus has to fit into memory, about three times its size.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from tasks.cleaning.config import CleanConfig
from tasks.cleaning.duplicates import Duplicates, find_duplicates
from tasks.cleaning.kernel import CLEANED, PERMUTATIONS, clean_batch
from tasks.cleaning.rules import RULES
from tasks.documents import SCHEMA, shard_paths, write_shards
from tasks.errors import SourceError

FILTERS = (
    *(rule.name for rule in RULES),
    "language",
    "repeated_phrases",
    "exact_duplicate",
    "near_duplicate",
)
DROPPED_SCHEMA = pa.schema(
    [*SCHEMA, ("filter", pa.string()), ("value", pa.string()), ("duplicate_of", pa.string())]
)
_CARRIED = ("source", "uri", "license", "collected_at", "meta")
_BATCH_ROWS = 2048

Say = Callable[[dict[str, Any]], None]


class Job(BaseModel):
    """What to clean, where to write it, and by which rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Path
    output: Path
    rules: CleanConfig = CleanConfig()


def main(arguments: list[str]) -> int:
    """Run the job of the JSON file named by `arguments`; the exit code is 1 after an error event."""
    try:
        [path] = arguments
        counts = run(Job.model_validate_json(Path(path).read_bytes()), _say)
    except Exception as error:
        traceback.print_exc()
        _say({"event": "error", "message": str(error) or type(error).__name__})
        return 1
    _say({"event": "done", "counts": counts})
    return 0


def run(job: Job, say: Say) -> dict[str, Any]:
    """Write `documents/`, `dropped/` and `report.json` below the job's output; return the counts.

    Raises:
        SourceError: the input has no shards, or not of the documents' schema.
    """
    cleaned = _cleaned(job, say)
    order = pc.sort_indices(cleaned, [("source", "ascending"), ("uri", "ascending"), ("id", "ascending")])
    cleaned = cleaned.take(order)
    say({"event": "progress", "phase": "duplicates", "done": 0, "total": cleaned.num_rows})
    passed = np.flatnonzero(pc.is_null(cleaned["dropped_by"]).to_numpy())
    candidates = cleaned.take(passed)
    signatures = _signatures(candidates)
    duplicates = find_duplicates(
        candidates["id"].to_pylist(),
        candidates["uri"].to_pylist(),
        pc.utf8_length(candidates["text"]).to_pylist(),
        signatures,
        job.rules.near_duplicate,
    )
    verdicts = _with_duplicates(cleaned, passed, candidates, signatures, duplicates)
    kept = verdicts.filter(pc.is_null(verdicts["filter"]))
    dropped = verdicts.filter(pc.is_valid(verdicts["filter"]))
    say({"event": "progress", "phase": "write", "done": 0, "total": kept.num_rows})
    write_shards(_batches(kept, SCHEMA), job.output / "documents")
    write_shards(_batches(dropped, DROPPED_SCHEMA), job.output / "dropped")
    report = _report(verdicts, kept, dropped, duplicates)
    (job.output / "report.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    counts: dict[str, Any] = report["counts"]
    assert counts["collected"] == counts["kept"] + sum(counts["dropped"].values()), counts
    return counts


def _cleaned(job: Job, say: Say) -> pa.Table:
    """All documents with the kernel's columns; their order is whatever Daft makes of it."""
    paths = shard_paths(job.input)
    for path in paths:
        if missing := set(SCHEMA.names) - set(pq.read_schema(path).names):
            raise SourceError(f"{path}: no column {', '.join(sorted(missing))}; collect again")
    total = sum(pq.read_metadata(path).num_rows for path in paths)
    os.environ.update(DAFT_ANALYTICS_ENABLED="0", DO_NOT_TRACK="1", DAFT_PROGRESS_BAR="0")
    import daft

    struct = daft.DataType.from_arrow_type(pa.struct(list(CLEANED)))
    rules = job.rules

    @daft.func.batch(return_dtype=struct, batch_size=_BATCH_ROWS, use_process=True)
    def kernel(text: daft.Series) -> pa.Array:
        batch = pa.RecordBatch.from_arrays([text.to_arrow()], names=["text"])
        return clean_batch(batch, rules).to_struct_array()

    frame = daft.read_parquet([str(path) for path in paths]).into_batches(_BATCH_ROWS)
    frame = frame.select(*_CARRIED, kernel(frame["text"]).alias("cleaned"))
    batches, done = [], 0
    for batch in frame.to_arrow_iter():
        batches.append(batch)
        done += batch.num_rows
        say({"event": "progress", "phase": "filter", "done": done, "total": total})
    table = pa.Table.from_batches(batches).flatten()
    return table.rename_columns([name.removeprefix("cleaned.") for name in table.column_names])


def _signatures(candidates: pa.Table) -> npt.NDArray[np.uint32]:
    joined = b"".join(candidates["signature"].to_pylist())
    return np.frombuffer(joined, dtype="<u4").reshape(-1, PERMUTATIONS)


def _with_duplicates(
    cleaned: pa.Table,
    passed: npt.NDArray[np.int64],
    candidates: pa.Table,
    signatures: npt.NDArray[np.uint32],
    duplicates: Duplicates,
) -> pa.Table:
    """`cleaned` with `filter`, `value` and `duplicate_of` after the near-duplicate search."""
    filters, values = cleaned["dropped_by"].to_pylist(), cleaned["value"].to_pylist()
    ids = candidates["id"].to_pylist()
    stands_for: list[str | None] = [None] * cleaned.num_rows
    similarity = (signatures == signatures[duplicates.kept]).mean(axis=1)
    for row in np.flatnonzero(duplicates.kept != np.arange(len(ids))).tolist():
        position = passed[row]
        filters[position] = "exact_duplicate" if duplicates.exact[row] else "near_duplicate"
        values[position] = str(round(float(similarity[row]), 4))
        stands_for[position] = ids[duplicates.kept[row]]
    verdicts = cleaned.drop_columns(["dropped_by", "value", "signature"])
    for name, column in (("filter", filters), ("value", values), ("duplicate_of", stands_for)):
        verdicts = verdicts.append_column(name, pa.array(column, pa.string()))
    return verdicts


def _batches(table: pa.Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in table.select(schema.names).to_batches(max_chunksize=_BATCH_ROWS):
        yield batch.cast(schema)


def _report(verdicts: pa.Table, kept: pa.Table, dropped: pa.Table, duplicates: Duplicates) -> dict[str, Any]:
    by_filter = _tally(dropped, "filter")
    reasons = {name: by_filter.get(name, (0, 0)) for name in FILTERS}
    funnel = [
        {"reason": name, "documents": documents, "bytes": size} for name, (documents, size) in reasons.items()
    ]
    return {
        "counts": {
            "collected": verdicts.num_rows,
            "kept": kept.num_rows,
            "dropped": {name: documents for name, (documents, _) in reasons.items()},
        },
        "funnel": funnel,
        "bytes": {
            "collected": pc.sum(verdicts["collected_bytes"]).as_py() or 0,
            "kept": pc.sum(pc.binary_length(kept["text"])).as_py() or 0,
        },
        "languages": {name: documents for name, (documents, _) in _tally(kept, "language").items()},
        "duplicate_clusters": duplicates.cluster_sizes(),
    }


def _tally(table: pa.Table, column: str) -> dict[str, tuple[int, int]]:
    """Documents and collected bytes per value of `column`."""
    grouped = table.group_by(column).aggregate([("collected_bytes", "count"), ("collected_bytes", "sum")])
    columns = (grouped[name].to_pylist() for name in (column, "collected_bytes_count", "collected_bytes_sum"))
    rows = zip(*columns, strict=True)
    return {value: (count, size) for value, count, size in sorted(rows)}


def _say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
