"""How much memory cleaning takes for a corpus that is larger: a generated one of 5 GB within 2 GB.

    python -m benchmarks.data_memory [--gigabytes 5] [--workers 2] [--folder FOLDER] [--quick]

The corpus is made of sentences of the installed packages' docstrings in new combinations; a twentieth of
its documents are exact copies, and a twentieth differ from another in one sentence. Twice a second
the memory of the engine and all its processes is summed up: what belongs to them (RssAnon), and the share
of everything mapped that falls to them (PSS), which also has pages of files that the kernel takes back
at need. The first is judged. The folder needs about three times the corpus' size and is emptied at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench import machine
from corpus.documents import SCHEMA, to_batches, write_shards
from corpus.sources import packages

BAR_GIGABYTES = 2.0
PACKAGES = ("numpy", "pandas", "python", "scipy")
SENTENCES = 12
SHARD_BYTES = 64_000_000
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Peaks:
    """The most memory seen at one moment, in bytes: the processes' own by pass, and their share of all."""

    phase: str = "starting"
    by_phase: dict[str, int] = field(default_factory=dict)
    share: int = 0

    @property
    def own(self) -> int:
        """The most in any pass."""
        return max(self.by_phase.values(), default=0)


def generate(folder: Path, gigabytes: float) -> int:
    """Write a collect artifact of about this much text; returns its documents."""
    sentences = _sentences()
    drawn = random.Random(0)
    (folder / "documents").mkdir(parents=True)
    write_shards(to_batches([]), folder / "evaluation")
    number = documents = 0
    written = 0
    while written < gigabytes * 1e9:
        texts = _texts(sentences, drawn)
        written += sum(map(len, texts))
        pq.write_table(_table(texts, documents), folder / "documents" / f"part-{number:05d}.parquet")
        number, documents = number + 1, documents + len(texts)
    return documents


def clean(folder: Path, workers: int) -> tuple[dict[str, Any], Peaks, float, float]:
    """Run the engine on `folder/collect`: its counts, the peaks, and its CPU and wall seconds."""
    for name in ("output", "scratch"):
        (folder / name).mkdir()
    job = {name: str(folder / name) for name in ("output", "scratch")} | {"input": str(folder / "collect")}
    (folder / "job.json").write_text(json.dumps({**job, "config": {"workers": workers}}), encoding="utf-8")
    started = time.monotonic()
    command = [sys.executable, "-m", "corpus.cleaning.engine.process", str(folder / "job.json")]
    peaks = Peaks()
    cpu: dict[int, float] = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as engine:
        watcher = threading.Thread(target=_watch, args=(engine, peaks, cpu))
        watcher.start()
        assert engine.stdout is not None
        event: dict[str, Any] = {}
        for line in engine.stdout:
            event = json.loads(line)
            peaks.phase = event.get("phase", peaks.phase)
            _show(event)
    watcher.join()
    if event.get("event") != "done":
        raise SystemExit(f"the engine ended without a result: {event.get('message', event)}")
    return event["counts"], peaks, sum(cpu.values()), time.monotonic() - started


def main() -> int:
    """Generate, clean, measure, print; the exit code is 1 when more memory was taken than the bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_memory", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where to work; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="a corpus of 0.1 GB")
    arguments = parser.parse_args()
    gigabytes = 0.1 if arguments.quick else arguments.gigabytes
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        documents = generate(folder / "collect", gigabytes)
        print(f"{documents:,} documents, {gigabytes} GB of text", flush=True)
        counts, peaks, cpu, wall = clean(folder, arguments.workers)
    rate = gigabytes * 1e3 / cpu
    print(f"{counts}\n{machine(['numba', 'pyarrow'])}")
    print(f"{wall:,.0f} s, {cpu:,.0f} CPU-seconds, {rate:.1f} MB per CPU-second, {arguments.workers} workers")
    print(", ".join(f"{phase} {own / 1e9:.2f} GB" for phase, own in peaks.by_phase.items()))
    own, share = peaks.own / 1e9, peaks.share / 1e9
    verdict = "ok" if own <= BAR_GIGABYTES else "short"
    print(f"{verdict} data_memory peak={own:.2f} GB bar={BAR_GIGABYTES:.2f} (at most) pss={share:.2f} GB")
    return 0 if own <= BAR_GIGABYTES else 1


def _sentences() -> list[str]:
    config = packages.PackagesSource(include=PACKAGES)
    found: dict[str, None] = {}
    for item in packages.items(config, {}):
        for document in packages.read(config, item, lambda *_: None):
            for sentence in re.split(r"(?<=[.!?])\s+", document.text):
                if 40 <= len(sentence) <= 200 and "\n" not in sentence:
                    found[sentence] = None
    return list(found)


def _texts(sentences: list[str], drawn: random.Random) -> list[str]:
    """The texts of one shard."""
    texts: list[str] = []
    size = 0
    while size < SHARD_BYTES:
        parts = drawn.choices(sentences, k=drawn.randint(SENTENCES // 2, SENTENCES * 2))
        texts.append(" ".join(parts))
        size += len(texts[-1])
        kind = drawn.random()
        if kind < 0.05:
            texts.append(texts[drawn.randrange(len(texts))])
        elif kind < 0.1:
            parts[drawn.randrange(len(parts))] = drawn.choice(sentences)
            texts.append(" ".join(parts))
    return texts


def _table(texts: list[str], first: int) -> pa.Table:
    digests = [blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    rows = len(texts)
    columns = {name: pa.nulls(rows, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {
        "id": pa.array(digests),
        "text": pa.array(texts),
        "source": pa.array([f"source-{row % 3}" for row in range(rows)]),
        "uri": pa.array([f"generated:{first + row}" for row in range(rows)]),
        "raw_digest": pa.array(digests),
        "encoding": pa.array(["utf-8"] * rows),
        "extractor": pa.array(["text"] * rows),
        "meta": pa.array(["{}"] * rows),
    }
    return pa.table(columns, schema=SCHEMA)


def _watch(engine: subprocess.Popen[str], peaks: Peaks, cpu: dict[int, float]) -> None:
    """Note the peaks, and the CPU seconds of every process, until the engine has ended."""
    root = psutil.Process(engine.pid)
    while engine.poll() is None:
        own = share = 0
        for process in _tree(root):
            with suppress(psutil.Error, OSError):
                own += _kilobytes(process.pid, "status", "RssAnon") * 1024
                share += _kilobytes(process.pid, "smaps_rollup", "Pss") * 1024
                times = process.cpu_times()
                cpu[process.pid] = times.user + times.system
        peaks.by_phase[peaks.phase] = max(peaks.by_phase.get(peaks.phase, 0), own)
        peaks.share = max(peaks.share, share)
        time.sleep(0.5)


def _tree(root: psutil.Process) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        yield root
        yield from root.children(recursive=True)


def _kilobytes(process: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{process}/{file}").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _show(event: dict[str, Any]) -> None:
    if event["event"] == "progress":
        rate = f"{event['bytes_per_second'] / 1e6:.1f} MB/s" if "bytes_per_second" in event else ""
        print(f"{event['phase']:20} {event['step']:>12,} of {event['total']:,}  {rate}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
