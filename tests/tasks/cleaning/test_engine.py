"""The engine as it is run: a child process, a job file, JSON lines, and bytes that never vary."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.cleaning.engine import DROPPED_SCHEMA
from tasks.documents import SCHEMA, Document, to_batches, write_shards

ROOT = Path(__file__).parents[3]
WORDS = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrstxz"]
CHINESE = "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买，送货速度也很快，包装完整。"


def corpus() -> list[Document]:
    """300 texts of their own, then 20 exact and 20 near copies, 3 Chinese with one copy, 10 too short."""
    rng = random.Random(0)
    own = [rng.choices(WORDS, k=80) for _ in range(300)]
    texts = [" ".join(words) for words in own]
    texts += [" ".join(words) for words in own[:20]]
    texts += [" ".join([*words, "more"]) for words in own[20:40]]
    texts += [CHINESE, CHINESE + "好", "今天天气晴朗，我们一起去公园散步，看到了很多美丽的花朵。"]
    texts += [f"tiny {number}" for number in range(10)]
    return [
        Document(text, f"s{row % 3}", f"u{row:04}", "MIT", meta={"row": str(row)})
        for row, text in enumerate(texts)
    ]


def clean(folder: Path, documents: list[Document], rows: int, rules: dict[str, Any]) -> list[dict[str, Any]]:
    write_shards(to_batches(documents, rows), folder / "in", rows_per_shard=rows)
    return start(folder, {"input": str(folder / "in"), "output": str(folder / "out"), "rules": rules})


def start(folder: Path, job: dict[str, Any]) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "tasks.cleaning.engine", str(folder / "job.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (events[-1]["event"] == "error"), done.stderr
    return events


def test_every_document_is_accounted_for_whatever_the_order(tmp_path: Path) -> None:
    documents = corpus()
    events = clean(tmp_path / "a", documents, 1000, {})
    counts = events[-1]["counts"]
    assert counts["collected"] == 353
    assert counts["kept"] == 302
    assert {name: number for name, number in counts["dropped"].items() if number} == {
        "too_short": 10,
        "exact_duplicate": 20,
        "near_duplicate": 21,
    }
    assert [e["done"] for e in events if e.get("phase") == "filter"][-1] == 353
    kept, dropped = pq.read_table(tmp_path / "a/out/documents"), pq.read_table(tmp_path / "a/out/dropped")
    assert kept.schema.equals(SCHEMA)
    assert dropped.schema.equals(DROPPED_SCHEMA)
    assert Counter(kept["language"].to_pylist()) == {"en": 300, "zh": 2}
    assert len(set(kept["id"].to_pylist())) == 302
    ids = set(kept["id"].to_pylist())
    copies = [row for row in dropped.to_pylist() if row["filter"].endswith("_duplicate")]
    assert all(row["duplicate_of"] in ids and float(row["value"]) >= 0.8 for row in copies)
    report = json.loads((tmp_path / "a/out/report.json").read_text())
    assert report["counts"] == counts
    assert report["duplicate_clusters"] == {"2": 41}
    assert report["bytes"]["collected"] == sum(len(document.text.encode()) for document in documents)

    random.Random(3).shuffle(documents)
    clean(tmp_path / "b", documents, 37, {})
    written = [
        {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (tmp_path / "a/out", tmp_path / "b/out")
    ]
    assert written[0] == written[1]


def test_a_corpus_of_which_nothing_is_kept(tmp_path: Path) -> None:
    events = clean(tmp_path, [Document("tiny", "s", "u")], 10, {"near_duplicate": 1})
    assert events[-1]["counts"]["kept"] == 0
    assert pq.read_table(tmp_path / "out/documents").num_rows == 0


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"input": "/nowhere", "output": "/nowhere"}, "no document shards"),
        ({"input": "/nowhere", "output": "/nowhere", "rules": {"min_letters": 2}}, "min_letters"),
    ],
)
def test_a_bad_job_ends_with_an_error_event(tmp_path: Path, job: dict[str, Any], message: str) -> None:
    [event] = start(tmp_path, job)
    assert event["event"] == "error"
    assert message in event["message"]
