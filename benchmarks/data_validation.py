"""How long the three checkpoints take on ten million documents, and how much memory.

    python -m benchmarks.data_validation [--documents N] [--quick]

A generated corpus (English and Chinese sentences in random order, a few of them with personal data) lies
in the artifacts that the stages would have made of it; each checkpoint then runs in a process of its own.
Bars: 2 GB (10^9 bytes) of memory at its peak, and ten minutes for all three.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from expectations.clean_corpus import CleanDemands
from expectations.raw_corpus import RawDemands
from expectations.tokens import TokenDemands
from tasks.contract.artifact import Artifact, Manifest, content_digest, describe_files
from tasks.contract.run import Run
from tasks.contract.store import Store
from tasks.validate import validate_clean, validate_raw, validate_tokens

BYTES, SECONDS = 2e9, 600
STAGES = ("validate_raw", "validate_clean", "validate_tokens")
KEY = "0" * 64
SHARD = 200_000  # documents
TOKENS = 32  # of each document
SENTENCES = (
    "The function returns the mean of all values along the given axis of the array.",
    "A careful reader will find that most of these claims are well supported by the data.",
    "When the harbour froze over, the ferries stopped and the islanders walked to the mainland.",
    "Keys that are not present in the mapping raise an error, unless a default is given.",
    "The committee met twice in spring, and its minutes were published in the following year.",
    "Every worker reads its own part of the input and writes its own part of the output.",
    "返回数组沿给定轴的平均值，如果没有给出轴，则先把数组展平，再计算所有元素的平均值。",
    "这家餐厅的菜品味道不错，服务态度也很好，下次还会带朋友一起来品尝。",
    "会议于上午九时开始，与会代表就今年的工作安排进行了充分的讨论。",
)
LEAKS = ("write to jane.doe@corner.org", "call +49 30 1234 5678", "身份证号11010519491231002X")


def main() -> int:
    """Generate, validate, print; the exit code is 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true", help="a million documents")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        _validate(arguments.stage, arguments.home)
        return 0
    documents = 1_000_000 if arguments.quick else arguments.documents
    with tempfile.TemporaryDirectory() as folder:
        size = _generate(Path(folder), documents)
        measured = {stage: _measure(stage, Path(folder)) for stage in STAGES}
    peak = max(memory for _, _, memory in measured.values())
    seconds = sum(wall for wall, _, _ in measured.values())
    print(f"{documents:,} documents, {size / 1e9:.1f} GB of text\n")
    print("| checkpoint | seconds | CPU-seconds | peak memory, GB |\n|---|---|---|---|")
    for stage, (wall, cpu, memory) in measured.items():
        print(f"| {stage} | {wall:.0f} | {cpu:.0f} | {memory / 1e9:.2f} |")
    passed = peak <= BYTES and seconds <= SECONDS
    print(
        f"\n{'ok' if passed else 'short'} data_validation seconds={seconds:.0f} bar={SECONDS} (at most) "
        f"peak={peak / 1e9:.2f} bar={BYTES / 1e9:.2f} GB (at most)"
    )
    return 0 if passed else 1


def _measure(stage: str, home: Path) -> tuple[float, float, int]:
    """Seconds, CPU-seconds and peak resident bytes of a checkpoint in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data_validation", "--stage", stage, "--home", str(home)]
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{stage} ended with {child.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _validate(stage: str, home: Path) -> None:
    run = Run(home)
    made = {name: _artifact(run.store, name) for name in ("collect", "clean", "tokenize")}
    if stage == "validate_raw":
        validate_raw.fn(made["collect"], RawDemands(), run)
    elif stage == "validate_clean":
        validate_clean.fn(made["clean"], None, CleanDemands(), run)
    else:
        validate_tokens.fn(*made.values(), TokenDemands(characters_per_token=(0, 1000)), run)


def _artifact(store: Store, stage: str) -> Artifact:
    manifest = store.manifest(stage, KEY)
    assert manifest is not None
    return manifest.artifact


def _generate(home: Path, documents: int) -> int:
    """Publish the three artifacts; returns the bytes of text."""
    import duckdb

    store = Store(home)
    collected, cleaned, tokenized = (store.begin(stage, KEY) for stage in ("collect", "clean", "tokenize"))
    for folder in ("documents", "evaluation"):
        (collected / folder).mkdir()
    for folder in ("documents", "dropped", "statistics"):
        (cleaned / folder).mkdir()
    database = duckdb.connect(config={"memory_limit": "2GB"})
    texts = [*SENTENCES, *LEAKS]
    database.execute("CREATE TABLE sentences AS SELECT $texts AS s", {"texts": texts})
    database.execute(f"CREATE MACRO pick(i, k) AS s[(hash(i * 16 + k) % {len(SENTENCES)} + 1)::BIGINT]")
    leak = f"CASE WHEN i % 500 = 0 THEN s[{len(SENTENCES)} + 1 + (i // 500) % {len(LEAKS)}] ELSE '' END"
    size = 0
    for first in range(0, documents, SHARD):
        last = min(documents, first + SHARD)
        picked = ", ".join(f"pick(i, {k})" for k in range(5))
        database.execute(
            f"CREATE OR REPLACE TABLE shard AS SELECT md5(i::VARCHAR) AS id, "
            f"concat_ws(' ', {picked}, {leak}, i) AS text, 'source-' || i % 4 AS source, "
            "'https://host-' || i % 97 || '/page/' || i AS uri, 'CC0-1.0' AS license, "
            "CASE WHEN i % 3 = 0 THEN 'zh' ELSE 'en' END AS language, "
            "TIMESTAMPTZ '2026-01-01' AS collected_at, "
            "md5(i || 'raw') AS raw_digest, 'utf-8' AS encoding, 'text' AS extractor, '{}' AS meta "
            f"FROM range({first}, {last}) t(i), sentences"
        )
        part = f"part-{first // SHARD:05d}.parquet"
        _write(database, "FROM shard", collected / "documents" / part)
        (cleaned / "documents" / part).hardlink_to(collected / "documents" / part)
        statistics = (
            "SELECT id, uri, source, language, license, NULL::VARCHAR AS filter, "
            "length(text)::INT AS characters, 0::INT AS personal_data FROM shard"
        )
        _write(database, statistics, cleaned / "statistics" / part)
        size += (database.execute("SELECT sum(strlen(text)) FROM shard").fetchone() or (0,))[0]
    _write(database, "FROM shard LIMIT 0", collected / "evaluation" / "part-00000.parquet")
    dropped = "SELECT *, '' AS filter FROM shard LIMIT 0"
    _write(database, dropped, cleaned / "dropped" / "part-00000.parquet")
    ledger = f"SELECT 'all' AS source, 'all' AS item, '1' AS version, {documents} AS documents, 0 AS skipped"
    _write(database, ledger, collected / "ledger.parquet")
    nothing = "SELECT '' AS source, '' AS uri, '' AS reason, '' AS detail LIMIT 0"
    _write(database, nothing, collected / "skipped.parquet")
    clusters = "SELECT '' AS id, '' AS uri, '' AS representative, false AS exact LIMIT 0"
    _write(database, clusters, cleaned / "clusters.parquet")
    _write(database, "SELECT '' AS id, '' AS uri LIMIT 0", cleaned / "contaminated.parquet")
    ids = f"SELECT id, 'train' AS split FROM read_parquet('{cleaned}/statistics/*.parquet')"
    _write(database, ids, tokenized / "splits.parquet")
    _write_tokens(tokenized, documents)
    for stage, directory in (("collect", collected), ("clean", cleaned), ("tokenize", tokenized)):
        _publish(store, directory, stage, documents)
    return size


def _write(database: object, query: str, path: Path) -> None:
    database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 4096)")  # type: ignore[attr-defined]


def _write_tokens(directory: Path, documents: int) -> None:
    """`documents` times the same count of random ids, between the special tokens of a small tokenizer."""
    import numpy as np
    from tokenizers import Tokenizer, models, processors

    vocabulary = {token: id for id, token in enumerate(["[UNK]", "[CLS]", "[SEP]", "a"])}
    vocabulary |= {f"token-{id}": id for id in range(4, 1000)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    frame = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.post_processor = frame
    (directory / "tokenizer").mkdir()
    tokenizer.save(str(directory / "tokenizer" / "tokenizer.json"))
    (directory / "tokens").mkdir()
    numbers = np.random.default_rng(0)
    for split, count in (("train", documents), ("validation", 0), ("test", 0)):
        with (directory / "tokens" / f"{split}.bin").open("wb") as file:
            for first in range(0, count, SHARD):
                ids = numbers.integers(3, 1000, (min(SHARD, count - first), TOKENS), np.uint16)
                ids[:, 0], ids[:, -1] = 1, 2
                file.write(ids.tobytes())
        (np.arange(count + 1, dtype="<i8") * TOKENS).tofile(directory / "tokens" / f"{split}.offsets")
        (directory / "tokens" / f"{split}.json").write_text(json.dumps({"dtype": "<u2"}), encoding="utf-8")


def _publish(store: Store, directory: Path, stage: str, documents: int) -> None:
    files = describe_files(directory, frozenset())
    manifest = Manifest(
        stage=stage,
        key=KEY,
        digest=content_digest(stage, files),
        inputs={},
        config={},
        code="",
        files=files,
        counts={"kept": documents},
        metrics={},
        external={},
        seconds=0,
        made_at="",
    )
    store.publish(directory, manifest)


if __name__ == "__main__":
    sys.exit(main())
