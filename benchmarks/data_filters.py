"""What the filters cost: ours against datatrove's, same rules, same documents, one core.

    python -m benchmarks.data_filters [--quick] [--documents PATH]

Each side is a process on one core that reads the documents (ours Parquet, the peer JSON lines), applies
gopher_repetition, gopher_quality, fineweb and c4 with English and Chinese thresholds, and writes a verdict
per document. CPU-seconds are the system's count for that process; what it takes for a single document,
imports above all, is taken off and told separately. We go through the documents many times, or our share
would be lost in that. Verdicts, of all sets together and of each alone, that differ on more than 0.5 % of the
documents end the benchmark.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import data_documents
from benchmarks.bench import BenchmarkError, Result, around, cpu_seconds, in_turn, machine, run
from corpus.cleaning.config import FiltersConfig, RepairConfig
from corpus.cleaning.filters.rule_sets import RULE_SETS, STOP_WORDS

BAR = 20.0
LEAST_AGREEMENT = 0.995
ROOT = Path(__file__).resolve().parent.parent
PEER = [str(ROOT / ".venv-bench" / "bin" / "python"), str(ROOT / "benchmarks" / "data_filters_peer.py")]
PASSES = 10
OURS = [sys.executable, "-m", "benchmarks.data_filters", "--job"]
# datatrove counts C4's words by spaces, so the peer leaves Chinese out of C4; so do we here.
NO_C4 = {"c4_lorem_ipsum": 1e9, "c4_curly_brackets": 1e9, "c4_few_sentences": 0}
CONFIG = FiltersConfig(
    sets=("gopher_repetition", "gopher_quality", "fineweb", "c4"), thresholds={"zh": NO_C4}
)


def measure(arguments: argparse.Namespace) -> Result:
    """Filter the same documents on both sides in turn; the ratio is that of MB per CPU-second.

    Raises:
        BenchmarkError: no peer or documents here, or the two sides decide differently.
    """
    if not Path(PEER[0]).exists():
        raise BenchmarkError(f"{PEER[0]} is missing; make it with `make bench-env`")
    megabytes, rounds = (1.5, 5) if arguments.quick else (12, 5)
    with tempfile.TemporaryDirectory() as scratch:
        side = _Sides(Path(scratch), data_documents.prepared(megabytes, arguments.documents))
        side.seconds(OURS, limit=1)  # compiles, once per installation
        idle = [median(side.seconds(command, limit=1) for _ in range(3)) for command in (OURS, PEER)]
        pairs = in_turn(
            lambda: (side.seconds(OURS, PASSES) - idle[0]) / PASSES,
            lambda: side.seconds(PEER) - idle[1],
            rounds,
        )
        agreement = side.agreement()
    size = side.megabytes
    speeds = [[size / pair[i] for pair in pairs] for i in (0, 1)]
    whole = [[size / (pair[i] + idle[i]) for pair in pairs] for i in (0, 1)]
    return Result(
        name="data_filters",
        title="Filters: the compiled measures against datatrove",
        columns=["side", "MB per CPU-second", "with start-up", "start-up, CPU-seconds"],
        rows=[
            [name, around(speeds[i]), around(whole[i]), f"{idle[i]:.2f}"]
            for i, name in enumerate(("textmill", "datatrove, words by a regular expression"))
        ],
        ratios=[mine / other for mine, other in zip(*speeds, strict=True)],
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: MB per CPU-second beyond start-up; {rounds} rounds of {size:.1f} MB in "
        f"{side.documents:,} documents. {agreement} {machine(['numba', 'pyarrow'])}.",
    )


class _Sides:
    """Both sides' commands on one job, and what they wrote."""

    def __init__(self, scratch: Path, documents: Path) -> None:
        from corpus.cleaning.text.repair import repair_batch

        # The kernel filters repaired text, and both sides are to read the same.
        table = pq.read_table(documents, columns=["text", "language"])
        texts = repair_batch(table["text"].combine_chunks(), RepairConfig())
        table = table.set_column(0, "text", texts).filter(pc.field("language").isin(["en", "zh"]))
        pq.write_table(table, scratch / "documents.parquet")
        # The peer's environment has no Arrow.
        lines = "".join(f"{json.dumps(row)}\n" for row in table.to_pylist())
        (scratch / "documents.jsonl").write_text(lines, encoding="utf-8")
        self.megabytes = pc.sum(pc.binary_length(table["text"])).as_py() / 1e6
        rules = [rule for name in CONFIG.sets for rule in RULE_SETS[name]]
        chinese = {rule.name: rule.threshold("zh") for rule in rules}
        self.job = {
            "documents": str(scratch / "documents.parquet"),
            "lines": str(scratch / "documents.jsonl"),
            "thresholds": {"zh": {**chinese, "stop_words": STOP_WORDS["zh"]}},
        }
        self.documents = len(table)
        self.scratch = scratch

    def seconds(
        self,
        command: list[str],
        passes: int = 1,
        limit: int | None = None,
        alternatives: Sequence[Sequence[str]] = (CONFIG.sets,),
    ) -> float:
        """CPU-seconds of a process that goes `passes` times through the first `limit` documents, or all.

        It decides once for each of the `alternatives`, which are rule sets to apply.
        """
        job = self.scratch / "job.json"
        job.write_text(
            json.dumps({**self.job, "passes": passes, "limit": limit, "alternatives": alternatives}),
            encoding="utf-8",
        )
        return cpu_seconds([*command, str(job), str(self._out(command))], cwd=ROOT)

    def agreement(self) -> str:
        """How often both decide alike, by all sets and by each; raises BenchmarkError below 99.5 %."""
        alternatives = [CONFIG.sets, *((name,) for name in CONFIG.sets)]
        self.seconds(OURS, alternatives=alternatives)
        self.seconds(PEER, alternatives=alternatives)
        verdicts = [json.loads(self._out(command).read_text(encoding="utf-8")) for command in (OURS, PEER)]
        return " ".join(map(_agreement, ("All sets", *CONFIG.sets), *verdicts))

    def _out(self, command: list[str]) -> Path:
        return self.scratch / ("peer.json" if command is PEER else "ours.json")


def _agreement(name: str, ours: list[str | None], theirs: list[str | None]) -> str:
    pairs = list(zip(ours, theirs, strict=True))
    differing = Counter(pair for pair in pairs if (pair[0] is None) != (pair[1] is None))
    agreement = 1 - differing.total() / len(pairs)
    kinds = "; ".join(
        f"{count} only {'we' if mine else 'datatrove'} dropped, by {mine or other}"
        for (mine, other), count in differing.most_common()
    )
    text = f"{name}: {ours.count(None):,} kept, agreement {100 * agreement:.2f} %{kinds and f' ({kinds})'}."
    if agreement < LEAST_AGREEMENT:
        raise BenchmarkError(f"the two sides decide differently, no ratio to tell. {text}")
    return text


def filter_documents(job_file: Path, out: Path) -> None:
    """Our side: for each of the job's alternatives one reason, or null, per document."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    for _ in range(job["passes"]):
        reasons = [_reasons(job, tuple(sets)) for sets in job["alternatives"]]
    out.write_text(json.dumps(reasons), encoding="utf-8")


def _reasons(job: dict[str, Any], sets: tuple[str, ...]) -> list[str | None]:
    from corpus.cleaning.filters.first_failure import first_failures

    config = CONFIG.model_copy(update={"sets": sets})
    reasons: list[str | None] = []
    for batch in pq.ParquetFile(job["documents"]).iter_batches(job["limit"] or 4096):
        names, _ = first_failures(batch["text"], batch["language"].to_pylist(), config)
        reasons += names
        if job["limit"]:
            break
    return reasons


def main() -> int:
    """Measure; with `--job`, be one side of the measurement."""
    if sys.argv[1:2] == ["--job"]:
        filter_documents(Path(sys.argv[2]), Path(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_filters")
    parser.add_argument("--documents", type=Path, default=None, help="Parquet with columns text and language")
    return run(measure, parser)


if __name__ == "__main__":
    sys.exit(main())
