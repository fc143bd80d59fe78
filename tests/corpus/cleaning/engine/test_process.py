"""The engine as it is run: a child process, a job file, JSON lines, and bytes that never vary."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpus.cleaning.engine import process
from corpus.cleaning.engine.kept_and_dropped import CLUSTERS_SCHEMA, DROPPED_SCHEMA
from corpus.documents import CLEANED_SCHEMA, Document, document_id, to_batches, write_shards

ROOT = Path(__file__).parents[4]
VOCABULARY = """
the of and with under after before old young green quiet river house window garden teacher farmer letter
story bread horse winter summer morning evening street bridge mountain village castle king child sister
brother music dance paper water stone fire wind rain snow walked talked carried opened closed painted built
remembered forgot loved lost found slowly quickly always never often there where because while into over
"""
CHINESE = "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买，送货速度也很快，包装完整。"
# Every run of 13 words has the address in it, so it is found only if it is masked on both sides.
QUESTION = (
    "Which of the seven bridges over the river (ask ann.lee@old-bridges.org) was built first, "
    "and who paid for its stones?"
)


def corpus() -> list[Document]:
    """300 texts of their own, 20 exact and 20 near copies, 3 Chinese with a copy, 10 too short, 2 leaked."""
    rng = random.Random(0)
    own = [rng.choices(VOCABULARY.split(), k=80) for _ in range(300)]
    texts = [" ".join(words) for words in own]
    texts += [" ".join(words) for words in own[:20]]
    texts += [" ".join([*words, "more"]) for words in own[20:40]]
    texts += [CHINESE, CHINESE + "好", "今天天气晴朗，我们一起去公园散步，看到了很多美丽的花朵。"]
    texts += [f"tiny {number}" for number in range(10)]
    texts += [f"{QUESTION} {' '.join(words)}" for words in own[50:52]]
    return [
        Document(text, f"s{row % 3}", f"u{row:04}", "MIT", meta={"row": str(row)})
        for row, text in enumerate(texts)
    ]


def collect(folder: Path, documents: list[Document], rows_per_shard: int = 100) -> Path:
    """A `collect` artifact; its evaluation set is one question."""
    write_shards(to_batches(documents), folder / "documents", rows_per_shard=rows_per_shard)
    write_shards(to_batches([Document(QUESTION, "test", "test#1")]), folder / "evaluation")
    return folder


def clean(folder: Path, collected: Path, **config: Any) -> list[dict[str, Any]]:
    """The events of a cleaning in this process into `folder`."""
    job = process.CleaningJob.model_validate(
        {"input": collected, "output": folder / "out", "scratch": folder / "scratch", "config": config}
    )
    for path in (job.output, job.scratch):
        path.mkdir(parents=True, exist_ok=True)
    events: list[dict[str, Any]] = []
    counts = process.run(job, events.append)
    return [*events, {"event": "done", "counts": counts}]


def start(folder: Path, collected: Path, **config: Any) -> "subprocess.Popen[str]":
    """The engine as a process of its own, as the stage starts it."""
    for path in (folder / "out", folder / "scratch"):
        path.mkdir(parents=True, exist_ok=True)
    job = {"input": str(collected), "output": str(folder / "out"), "scratch": str(folder / "scratch")}
    (folder / "job.json").write_text(json.dumps({**job, "config": config}), encoding="utf-8")
    command = [sys.executable, "-m", "corpus.cleaning.engine.process", str(folder / "job.json")]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True, encoding="utf-8"
    )


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a cleaning wrote."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect(tmp_path_factory.mktemp("collect"), corpus())


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory, collected: Path) -> Path:
    """The artifact of a cleaning of `corpus` in one process."""
    folder = tmp_path_factory.mktemp("clean")
    clean(folder, collected, workers=1)
    return folder / "out"


def test_every_document_is_accounted_for(cleaned: Path) -> None:
    report = json.loads((cleaned / "report.json").read_text(encoding="utf-8"))
    counts = report["counts"]
    assert (counts["collected"], counts["kept"]) == (355, 302)
    assert {name: number for name, number in counts["dropped"].items() if number} == {
        "too_short": 10,
        "contaminated": 2,
        "exact_duplicate": 20,
        "near_duplicate": 21,
    }
    assert report["duplicate_clusters"] == {"2": 41}
    assert report["bytes"]["collected"] == sum(len(document.text.encode()) for document in corpus())
    assert [step["left"] for step in report["funnel"]][-1] == 302
    assert report["languages"] == {"en": 300, "zh": 2}
    kept, dropped = pq.read_table(cleaned / "documents"), pq.read_table(cleaned / "dropped")
    assert kept.schema.equals(CLEANED_SCHEMA)
    assert dropped.schema.equals(DROPPED_SCHEMA)
    assert kept["uri"].to_pylist() == sorted(kept["uri"].to_pylist())  # the order collected
    assert Counter([*kept["uri"].to_pylist(), *dropped["uri"].to_pylist()]) == Counter(
        document.uri for document in corpus()
    )


def test_ids_are_those_of_the_texts_and_of_what_was_collected(cleaned: Path) -> None:
    collected = {document.uri: document_id(document.text) for document in corpus()}
    for part in ("documents", "dropped", "clusters.parquet", "contaminated.parquet"):
        rows = pq.read_table(cleaned / part, columns=["uri", "collected_id"]).to_pylist()
        assert rows
        assert all(row["collected_id"] == collected[row["uri"]] for row in rows), part
    both = [
        *pq.read_table(cleaned / "documents").to_pylist(),
        *pq.read_table(cleaned / "dropped").to_pylist(),
    ]
    assert all(row["id"] == document_id(row["text"]) for row in both)
    assert {row["uri"] for row in both if row["id"] != row["collected_id"]} == {"u0353", "u0354"}  # masked


def test_duplicates_and_leaks_are_listed(cleaned: Path) -> None:
    kept = pq.read_table(cleaned / "documents", columns=["id"])["id"].to_pylist()
    dropped = [row for row in pq.read_table(cleaned / "dropped").to_pylist() if row["duplicate_of"]]
    assert len(dropped) == 41
    assert {row["duplicate_of"] for row in dropped} <= set(kept)
    assert all(float(row["value"]) >= 0.8 for row in dropped)
    clusters = pq.read_table(cleaned / "clusters.parquet")
    assert clusters.schema.equals(CLUSTERS_SCHEMA)
    assert clusters.num_rows == 82
    assert Counter(Counter(clusters["representative"].to_pylist()).values()) == {2: 41}
    leaked = pq.read_table(cleaned / "contaminated.parquet").to_pylist()
    assert [(row["uri"], row["evaluation_uri"]) for row in leaked] == [
        ("u0353", "test#1"),
        ("u0354", "test#1"),
    ]


def test_statistics_have_a_row_for_every_collected_document(cleaned: Path) -> None:
    statistics = pq.read_table(cleaned / "statistics").to_pylist()
    assert [row["uri"] for row in statistics] == [document.uri for document in corpus()]
    assert sum(row["filter"] is None for row in statistics) == 302
    texts = {row["uri"]: row["text"] for row in pq.read_table(cleaned / "documents").to_pylist()}
    assert all(row["characters"] == len(texts[row["uri"]]) for row in statistics if row["filter"] is None)
    assert statistics[0]["words"] == 80


def test_processes_leave_the_same_bytes(tmp_path: Path, collected: Path, cleaned: Path) -> None:
    process = start(tmp_path, collected, workers=2)
    output, _ = process.communicate(timeout=100)
    events = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0
    assert events[-1]["event"] == "done"
    steps = [event["step"] for event in events[:-1]]
    assert steps == sorted(steps)
    assert steps[-1] == events[0]["total"] == 355
    assert files(tmp_path / "out") == files(cleaned)


def test_finished_shards_outlive_a_kill(tmp_path: Path, collected: Path, cleaned: Path) -> None:
    process = start(tmp_path, collected, workers=1)
    first = tmp_path / "scratch" / "features" / "part-00001.arrow"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    written = first.stat().st_mtime_ns
    clean(tmp_path, collected, workers=1)
    assert first.stat().st_mtime_ns == written
    assert files(tmp_path / "out") == files(cleaned)


def test_mixing_comes_last_and_is_accounted_for(tmp_path: Path, collected: Path) -> None:
    clean(tmp_path, collected, workers=1, mix={"caps": {"s1": 40}})
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    [source] = [row for row in report["mixing"] if row["source"] == "s1"]
    assert source["kept"] == 40
    assert report["counts"]["dropped"]["mix"] == source["clean"] - 40
    dropped = pq.read_table(tmp_path / "out" / "dropped").to_pylist()
    assert {row["source"] for row in dropped if row["filter"] == "mix"} == {"s1"}


@pytest.mark.parametrize("texts", [["tiny"], []])
def test_a_corpus_of_which_nothing_is_kept(tmp_path: Path, texts: list[str]) -> None:
    collected = collect(tmp_path / "in", [Document(text, "s", "u") for text in texts])
    events = clean(tmp_path, collected, workers=1, duplicates={"near": 1})
    assert events[-1]["counts"]["collected"] == len(texts)
    assert events[-1]["counts"]["kept"] == 0
    assert pq.read_table(tmp_path / "out/documents").num_rows == 0


def test_a_bad_job_ends_with_an_error_event(tmp_path: Path) -> None:
    process = start(tmp_path, tmp_path / "nowhere")
    output, _ = process.communicate(timeout=60)
    [event] = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 1
    assert "no document shards" in event["message"]


def test_a_damaged_shard_and_a_source_that_is_not_there_are_errors(tmp_path: Path, collected: Path) -> None:
    with pytest.raises(ValueError, match="the source 'web'"):
        clean(tmp_path, collected, mix={"weights": {"web": 0.5}})
    damaged = collect(tmp_path / "in", corpus())
    shard = damaged / "documents" / "part-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"part-00001\.parquet: not a readable Parquet shard"):
        clean(tmp_path, damaged)
