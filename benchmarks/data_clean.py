"""How fast all of cleaning is: MB of collected text per CPU-second, from shards to shards.

    python -m benchmarks.data_clean [--quick] [--documents PATH]

Every step with the default recipe: shared lines, repair, language, personal data, rules, decontamination
against a few hundred documents, exact and near duplicates, writing. The engine is a process of its own
with one worker on one core, as the stage starts it. What it takes for a single document, imports above
all, is taken off and told separately.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import data_documents
from benchmarks.bench import ROUNDS, Result, around, cpu_seconds, machine, run
from corpus.documents import write_shards

BAR = 8.0
ROOT = Path(__file__).resolve().parent.parent
# One document in so many is of an evaluation set too.
EVALUATION_EVERY = 100


def measure(arguments: argparse.Namespace) -> Result:
    """Clean the same documents in every round; the ratio is MB per CPU-second beyond start-up.

    Raises:
        BenchmarkError: no documents here, or the engine failed.
    """
    documents = pq.read_table(data_documents.prepared(4 if arguments.quick else 48, arguments.documents))
    megabytes = pc.sum(pc.binary_length(documents["text"])).as_py() / 1e6
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _collect(folder / "all", documents)
        _collect(folder / "one", documents[:1])
        _seconds(folder, "one")  # compiles, once per installation
        idle = median(_seconds(folder, "one") for _ in range(3))
        rounds = [_seconds(folder, "all") for _ in range(ROUNDS)]
        counts = json.loads((folder / "output" / "report.json").read_text(encoding="utf-8"))["counts"]
    speeds = [megabytes / (seconds - idle) for seconds in rounds]
    dropped = ", ".join(f"{name} {count:,}" for name, count in counts["dropped"].items() if count)
    return Result(
        name="data_clean",
        title="All of cleaning",
        columns=["", "MB per CPU-second"],
        rows=[
            ["beyond start-up", around(speeds)],
            ["with start-up", around([megabytes / seconds for seconds in rounds])],
        ],
        ratios=speeds,
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: MB per CPU-second beyond a start-up of {idle:.1f} CPU-seconds; {ROUNDS} rounds of "
        f"{megabytes:.1f} MB in {counts['collected']:,} documents, of which {counts['kept']:,} are kept "
        f"({dropped}). {machine(['numba', 'pyarrow'])}.",
    )


def _collect(folder: Path, documents: pa.Table) -> None:
    """A collect artifact of `documents`, some of which are its evaluation set."""
    write_shards(documents.to_batches(), folder / "documents")
    chosen = pa.array(range(0, documents.num_rows, EVALUATION_EVERY))
    write_shards(documents.take(chosen).to_batches(), folder / "evaluation")


def _seconds(folder: Path, collected: str) -> float:
    """CPU-seconds of one cleaning into `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        (folder / "output").mkdir(exist_ok=True)
        paths = {"input": folder / collected, "output": folder / "output", "scratch": scratch}
        job = Path(scratch) / "job.json"
        job.write_text(json.dumps({**paths, "config": {"workers": 1}}, default=str), encoding="utf-8")
        return cpu_seconds([sys.executable, "-m", "corpus.cleaning.engine.process", str(job)], cwd=ROOT)


def main() -> int:
    """Measure as the command line says, print the verdict; exit code 0, 1 (missed) or 2 (can't run)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_clean")
    parser.add_argument("--documents", type=Path, default=None, metavar="PATH")
    return run(measure, parser)


if __name__ == "__main__":
    sys.exit(main())
