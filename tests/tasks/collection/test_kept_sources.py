"""What is kept of a source: only what changed is read again, and the order of reading leaves no trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpus.documents import Document, Item, OnSkip
from corpus.kept import segments
from corpus.sources import files
from tasks.collect import CollectConfig, collect, snapshot
from tasks.collection import kept_sources
from tasks.contract.errors import SourceError
from tasks.contract.run import Run
from tasks.contract.store import Store
from tests.tasks.collection.files_source import changes_of, collected, files_config, rows_of, write


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, in order."""
    seen: list[str] = []
    original = files.read

    def counted(config: Any, item: Item, on_skip: OnSkip) -> Iterator[Document]:
        seen.append(Path(item.uri).stem)
        return original(config, item, on_skip)

    monkeypatch.setattr(files, "read", counted)
    # Here, however slow the machine: what other processes read can't be counted.
    monkeypatch.setattr(kept_sources, "SECONDS_ALONE", float("inf"))
    return seen


def test_only_what_is_new_or_changed_is_read(tmp_path: Path, reads: list[str]) -> None:
    folder, home = write(tmp_path / "in", a=["one"], b=["two", "three"], c=["secret"]), tmp_path / "home"
    config = files_config(folder)
    first = collected(home, config)
    assert reads == ["a", "b", "c"]
    assert [row["text"] for row in rows_of(home, first)] == ["one", "two", "three", "secret"]

    collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    assert reads == ["a", "b", "c"]

    write(folder, b=["two, changed"], ab=["new"])
    (folder / "c.jsonl").unlink()
    second = collected(home, config)
    assert reads[3:] == ["ab", "b"]
    assert [row["text"] for row in rows_of(home, second)] == ["one", "new", "two, changed"]
    assert changes_of(home, second) == {"new": ["ab"], "changed": ["b"], "removed": ["c"]}
    ledger = [(Path(row["item"]).stem, row["documents"]) for row in rows_of(home, second, "ledger.parquet")]
    assert ledger == [("a", 1), ("ab", 1), ("b", 1)]
    # The right to be forgotten: nothing that is kept holds the text that was deleted.
    kept = [
        text
        for path in home.glob("collected/*/documents/*")
        for text in pq.read_table(path)["text"].to_pylist()
    ]
    assert sorted(kept) == ["new", "one", "two, changed"]

    fresh = collected(tmp_path / "other", config)
    assert fresh.digest == second.digest


def test_many_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "in", **{f"f{number:02}": [f"text {number}", ""] for number in range(12)})
    alone = collected(tmp_path / "alone", files_config(folder))
    monkeypatch.setattr(kept_sources, "SECONDS_ALONE", 0.0)
    together = collected(tmp_path / "together", files_config(folder))
    assert len(list((tmp_path / "together").glob("collected/*/items/*"))) > 1
    assert together.digest == alone.digest


def test_a_killed_collection_goes_on(tmp_path: Path, reads: list[str]) -> None:
    folder = write(tmp_path / "in", **{f"f{number}": [f"text {number}"] for number in range(6)})
    home, config = tmp_path / "home", files_config(folder)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tasks.collect import CollectConfig, collect, snapshot\n"
        "from corpus.kept import segments\n"
        "from corpus.sources import files\n"
        "from tasks.contract.stage import Run\n"
        "segments.SEGMENT_SECONDS = 0\n"
        "read = files.read\n"
        "def slow(config, item, on_skip):\n"
        "    time.sleep(60 if item.uri.endswith('f3.jsonl') else 0)\n"
        "    yield from read(config, item, on_skip)\n"
        "files.read = slow\n"
        "home, config = Path(sys.argv[1]), CollectConfig.model_validate_json(sys.argv[2])\n"
        "collect.fn(snapshot(config, home), config, Run(home))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(home), config.model_dump_json()])
    until = time.monotonic() + 30
    while len(list(home.glob("collected/*/items/[!.]*"))) < 3 and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    resumed = collected(home, config)
    assert reads == ["f3", "f4", "f5"]
    assert resumed.digest == collected(tmp_path / "other", config).digest


def _die(*_: object) -> None:
    os._exit(9)


def test_a_process_that_is_killed_ends_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_sources, "SECONDS_ALONE", 0.0)
    monkeypatch.setattr(kept_sources, "_read_chunk", _die)
    with pytest.raises(SourceError, match="a process that read mine was killed"):
        collected(tmp_path / "home", files_config(write(tmp_path / "in", a=["one"], b=["two"])))


def test_a_damaged_segment_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    config, home = files_config(write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    first = collected(home, config)
    [segment] = home.glob("collected/*/documents/*")
    segment.write_bytes(segment.read_bytes()[:-20])
    again = collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    assert reads == ["a", "b", "a", "b"]
    assert again.digest == first.digest


def test_a_segment_with_a_damaged_page_is_read_again_by_the_next_run(
    tmp_path: Path, reads: list[str]
) -> None:
    config, home = files_config(write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    first = collected(home, config)
    [segment] = home.glob("collected/*/documents/*")
    content = bytearray(segment.read_bytes())
    content[content.index(b"\x28\xb5\x2f\xfd") + 10] ^= 0xFF  # behind the mark of a zstd frame
    segment.write_bytes(content)
    with pytest.raises(SourceError, match=r"damaged .*run again"):
        collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    again = collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    assert (reads, again.digest) == (["a", "b", "a", "b"], first.digest)


def test_another_reader_reads_all_again(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, home = files_config(write(tmp_path / "in", a=["one"])), tmp_path / "home"
    before = snapshot(config, home)
    collected(home, config)
    monkeypatch.setattr(files, "reader_version", lambda: "next")
    assert snapshot(config, home) != before
    collected(home, config)
    assert reads == ["a", "a"]


def test_two_runs_share_what_is_kept(tmp_path: Path, reads: list[str]) -> None:
    """Two runs at once over one source; the second takes what the first has read."""
    config, home = files_config(write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    another = config.model_copy(update={"max_bad_share": 0.5})
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda config: collected(home, config), (config, another))
    assert reads == ["a", "b"]
    assert (first.digest, first.key != second.key) == (second.digest, True)


def test_what_no_artifact_was_made_from_is_forgotten(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wanted = collected(home, files_config(write(tmp_path / "in", a=["one"])))
    collected(home, files_config(write(tmp_path / "other", b=["two"])))
    assert kept_sources.forget_unused(Store(home)) == 0
    Store(home).collect_garbage({(wanted.stage, wanted.key)})
    assert kept_sources.forget_unused(Store(home)) > 0
    [path] = home.glob("collected/*/documents/*")
    assert pq.read_table(path)["text"].to_pylist() == ["one"]


def test_small_segments_become_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SECONDS", 0.0)
    number = segments.MOST_SMALL_SEGMENTS + 4
    folder = write(tmp_path / "in", **{f"f{n:02}": [f"text {n}", ""] for n in range(number)})
    artifact = collected(tmp_path / "home", files_config(folder))
    monkeypatch.setattr(segments, "SEGMENT_SECONDS", 30.0)
    write(folder, g=["last"])
    second = collected(tmp_path / "home", files_config(folder))
    assert len(list((tmp_path / "home").glob("collected/*/items/*"))) < segments.MOST_SMALL_SEGMENTS
    assert [row["text"] for row in rows_of(tmp_path / "home", second)] == [
        *(row["text"] for row in rows_of(tmp_path / "home", artifact)),
        "last",
    ]
    assert len(rows_of(tmp_path / "home", second, "skipped.parquet")) == number


def test_projects_that_share_a_home_get_their_own_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    """The same relative path, and files of one size and time; each keeps what it has read."""
    home, config = tmp_path / "home", files_config(Path("in"))
    found = {}
    for project in ("alpha", "bravo", "alpha", "bravo"):
        (tmp_path / project).mkdir(exist_ok=True)
        if project not in found:
            write(tmp_path / project / "in", a=[project])
        monkeypatch.chdir(tmp_path / project)
        found[project] = collected(home, config)
        assert [row["text"] for row in rows_of(home, found[project])] == [project]
    assert reads == ["a", "a"]
    assert kept_sources.forget_unused(Store(home)) == 0

    # Elsewhere the same files are read again, and give the same.
    (tmp_path / "alpha").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert collected(home, config).digest == found["alpha"].digest
    assert reads == ["a", "a", "a"]


def test_another_content_of_one_size_and_time_is_read(tmp_path: Path, reads: list[str]) -> None:
    config, home = files_config(write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    collected(home, config)
    write(tmp_path / "in", b=["six"])
    changed = collected(home, config)
    assert [row["text"] for row in rows_of(home, changed)] == ["one", "six"]
    assert (reads, changes_of(home, changed)["changed"]) == (["a", "b", "b"], ["b"])
    assert changed.digest == collected(tmp_path / "other", config).digest


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "files", "path": "in/*.jsonl"},
        {"kind": "files", "path": "../{}/in"},
        {"kind": "files", "path": "file://in/a.jsonl"},
        {"kind": "files", "path": "s3://bucket/in"},
        {"kind": "huggingface", "dataset": "in"},
        {"kind": "huggingface", "dataset": "nobody/nothing"},
        {"kind": "packages"},
    ],
)
def test_what_is_kept_goes_by_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, str]
) -> None:
    names = []
    for project in ("alpha", "bravo"):
        (tmp_path / project / "in").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / project)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{project}.example.org")
        monkeypatch.setenv("HF_ENDPOINT", f"https://{project}.example.org")
        monkeypatch.setattr("sysconfig.get_path", lambda name, project=project: f"/{project}/{name}")
        named = {key: value.format(project) for key, value in source.items()}
        config = CollectConfig.model_validate({"sources": [named]})
        place = kept_sources.KeptSource(config.sources[0], tmp_path)
        names.append(place.name)
        assert place.name == kept_sources.KeptSource(config.sources[0], tmp_path).name
    assert names[0] != names[1]
