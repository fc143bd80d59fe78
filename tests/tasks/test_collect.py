"""Collection: only what changed is read again, and what comes out depends on the sources alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from corpus.documents import Document, Item, OnSkip, read_documents
from corpus.kept import segments
from corpus.sources import files
from tasks.collect import CollectConfig, Snapshot, collect, snapshot
from tasks.collection import kept_sources
from tasks.contract.artifact import Artifact
from tasks.contract.errors import SourceError
from tasks.contract.run import Run
from tasks.contract.store import Store
from tests.corpus.sources.site import html, serve

Rows = list[dict[str, Any]]


def _write(folder: Path, **texts: list[Any]) -> Path:
    """Files of JSON lines, all of one age."""
    folder.mkdir(exist_ok=True)
    for name, lines in texts.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def _config(folder: Path, **options: Any) -> CollectConfig:
    return CollectConfig.model_validate(
        {"sources": [{"kind": "files", "name": "mine", "path": str(folder)}], **options}
    )


def _collected(home: Path, config: CollectConfig) -> Artifact:
    return collect.fn(snapshot(config, home), config, Run(home))


def _rows(home: Path, artifact: Artifact, part: str = "documents") -> Rows:
    place = Run(home).store.path(artifact)
    is_file = part.endswith(".parquet")
    table = pq.read_table(place / part) if is_file else pa.Table.from_batches(read_documents(place / part))
    rows: Rows = table.to_pylist()
    return rows


def _changes_of(home: Path, collected: Artifact) -> dict[str, list[str]]:
    changes = json.loads((Run(home).store.path(collected) / "changes.json").read_text(encoding="utf-8"))[
        "mine"
    ]
    return {kind: [Path(uri).stem for uri in changes[kind]] for kind in ("new", "changed", "removed")}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, in order."""
    seen: list[str] = []
    original = files.read

    def counted(config: Any, item: Item, on_skip: OnSkip) -> Iterator[Document]:
        seen.append(Path(item.uri).stem)
        return original(config, item, on_skip)

    monkeypatch.setattr(files, "read", counted)
    return seen


def test_only_what_is_new_or_changed_is_read(tmp_path: Path, reads: list[str]) -> None:
    folder, home = _write(tmp_path / "in", a=["one"], b=["two", "three"], c=["secret"]), tmp_path / "home"
    config = _config(folder)
    first = _collected(home, config)
    assert reads == ["a", "b", "c"]
    assert [row["text"] for row in _rows(home, first)] == ["one", "two", "three", "secret"]

    collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    assert reads == ["a", "b", "c"]

    _write(folder, b=["two, changed"], ab=["new"])
    (folder / "c.jsonl").unlink()
    second = _collected(home, config)
    assert reads[3:] == ["ab", "b"]
    assert [row["text"] for row in _rows(home, second)] == ["one", "new", "two, changed"]
    assert _changes_of(home, second) == {"new": ["ab"], "changed": ["b"], "removed": ["c"]}
    ledger = [(Path(row["item"]).stem, row["documents"]) for row in _rows(home, second, "ledger.parquet")]
    assert ledger == [("a", 1), ("ab", 1), ("b", 1)]
    # The right to be forgotten: nothing that is kept holds the text that was deleted.
    kept = [
        text
        for path in home.glob("collected/*/documents/*")
        for text in pq.read_table(path)["text"].to_pylist()
    ]
    assert sorted(kept) == ["new", "one", "two, changed"]

    fresh = _collected(tmp_path / "other", config)
    assert fresh.digest == second.digest


def test_an_item_that_is_still_listed_and_empty_now_was_removed(tmp_path: Path) -> None:
    folder, home = _write(tmp_path / "in", a=["one"], b=["two"], never=[]), tmp_path / "home"
    config = _config(folder)
    assert _changes_of(home, _collected(home, config)) == {"new": ["a", "b"], "changed": [], "removed": []}
    _write(folder, b=[], never=[])
    assert _changes_of(home, _collected(home, config)) == {"new": [], "changed": [], "removed": ["b"]}
    _write(folder, b=["two, again"])
    assert _changes_of(home, _collected(home, config)) == {"new": ["b"], "changed": [], "removed": []}


def test_many_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "in", **{f"f{number:02}": [f"text {number}", ""] for number in range(12)})
    alone = _collected(tmp_path / "alone", _config(folder))
    monkeypatch.setattr(kept_sources, "SECONDS_ALONE", 0.0)
    together = _collected(tmp_path / "together", _config(folder))
    assert len(list((tmp_path / "together").glob("collected/*/items/*"))) > 1
    assert together.digest == alone.digest


def test_a_killed_collection_goes_on(tmp_path: Path, reads: list[str]) -> None:
    folder = _write(tmp_path / "in", **{f"f{number}": [f"text {number}"] for number in range(6)})
    home, config = tmp_path / "home", _config(folder)
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
    resumed = _collected(home, config)
    assert reads == ["f3", "f4", "f5"]
    assert resumed.digest == _collected(tmp_path / "other", config).digest


def _die(*_: object) -> None:
    os._exit(9)


def test_a_process_that_is_killed_ends_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_sources, "SECONDS_ALONE", 0.0)
    monkeypatch.setattr(kept_sources, "_read_chunk", _die)
    with pytest.raises(SourceError, match="a process that read mine was killed"):
        _collected(tmp_path / "home", _config(_write(tmp_path / "in", a=["one"], b=["two"])))


def test_a_damaged_segment_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    config, home = _config(_write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    first = _collected(home, config)
    [segment] = home.glob("collected/*/documents/*")
    segment.write_bytes(segment.read_bytes()[:-20])
    again = collect.fn(snapshot(config, home), config, Run(home, refresh=["collect"]))
    assert reads == ["a", "b", "a", "b"]
    assert again.digest == first.digest


def test_a_segment_with_a_damaged_page_is_read_again_by_the_next_run(
    tmp_path: Path, reads: list[str]
) -> None:
    config, home = _config(_write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    first = _collected(home, config)
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
    config, home = _config(_write(tmp_path / "in", a=["one"])), tmp_path / "home"
    before = snapshot(config, home)
    _collected(home, config)
    monkeypatch.setattr(files, "reader_version", lambda: "next")
    assert snapshot(config, home) != before
    _collected(home, config)
    assert reads == ["a", "a"]


def test_only_allowed_licences_stay(tmp_path: Path) -> None:
    _write(tmp_path / "in", a=["one"])
    _write(tmp_path / "more", b=["two", "three"])
    sources = [
        {"kind": "files", "name": "free", "path": str(tmp_path / "in"), "license": "CC0-1.0"},
        {"kind": "files", "name": "unstated", "path": str(tmp_path / "more")},
    ]
    config = CollectConfig.model_validate({"sources": sources, "allowed_licenses": ["CC0-1.0", "MIT"]})
    artifact = _collected(tmp_path / "home", config)
    assert [row["text"] for row in _rows(tmp_path / "home", artifact)] == ["one"]
    left_out = _rows(tmp_path / "home", artifact, "skipped.parquet")
    assert [(row["source"], row["reason"], row["detail"]) for row in left_out] == [
        ("unstated", "licence not allowed", "none stated")
    ] * 2
    ledger = _rows(tmp_path / "home", artifact, "ledger.parquet")
    assert [(row["documents"], row["skipped"]) for row in ledger] == [(1, 0), (0, 2)]
    manifest = Run(tmp_path / "home").store.manifest("collect", artifact.key)
    assert manifest
    assert manifest.counts["documents"] == 1
    assert manifest.counts["records left out"] == 2


def test_evaluation_sets_are_kept_apart(tmp_path: Path) -> None:
    folder, held_out = _write(tmp_path / "in", a=["one"]), _write(tmp_path / "test", t=["question"])
    evaluation = [{"kind": "files", "name": "benchmark", "path": str(held_out)}]
    artifact = _collected(tmp_path / "home", _config(folder, evaluation_sets=evaluation))
    assert [row["text"] for row in _rows(tmp_path / "home", artifact)] == ["one"]
    [question] = _rows(tmp_path / "home", artifact, "evaluation")
    assert (question["text"], question["source"]) == ("question", "benchmark")


def test_too_much_that_is_unusable_stops_the_stage(tmp_path: Path) -> None:
    folder = _write(tmp_path / "in", a=["good", "", *[7] * 3], b=["good"] * 5)
    message = r"3 of 9 records of mine \(33%\) can't be used: 3 .*a\.jsonl#3.*max_bad_share \(now 0\.1\)"
    with pytest.raises(SourceError, match=message):
        _collected(tmp_path / "home", _config(folder))
    artifact = _collected(tmp_path / "home", _config(folder, max_bad_share=0.4))
    assert len(_rows(tmp_path / "home", artifact)) == 6
    assert len(_rows(tmp_path / "home", artifact, "skipped.parquet")) == 4


def test_a_wrong_text_field_is_said_to_be_one(tmp_path: Path) -> None:
    folder = _write(tmp_path / "in", a=["one"])
    config = CollectConfig.model_validate(
        {"sources": [{"kind": "files", "path": str(folder), "text_field": "body"}]}
    )
    with pytest.raises(SourceError, match=r"no field 'body'; .*\); set text_field, or raise"):
        _collected(tmp_path / "home", config)


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no document in mine \(left out: 2 empty\)"):
        _collected(tmp_path / "home", _config(_write(tmp_path / "in", a=["", " "])))


def test_two_runs_share_what_is_kept(tmp_path: Path, reads: list[str]) -> None:
    """Two runs at once over one source; the second takes what the first has read."""
    config, home = _config(_write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    another = config.model_copy(update={"max_bad_share": 0.5})
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda config: _collected(home, config), (config, another))
    assert reads == ["a", "b"]
    assert (first.digest, first.key != second.key) == (second.digest, True)


def test_a_snapshot_from_another_process_lists_again(tmp_path: Path) -> None:
    with serve() as site:
        site.put("/a", html("Alpha"))
        source = {"kind": "web", "start": [f"{site.url}/a"], "requests_per_second": 1000}
        config, home = CollectConfig.model_validate({"sources": [source]}), tmp_path / "home"
        taken = Snapshot.model_validate(snapshot(config, home).model_dump())
        [row] = _rows(home, collect.fn(taken, config, Run(home)))
    assert (row["source"], row["uri"]) == ("web", f"{site.url}/a")


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    source = {"kind": "files", "path": str(tmp_path)}
    with pytest.raises(ValidationError, match="two sources are named 'files'"):
        CollectConfig.model_validate({"sources": [source], "evaluation_sets": [source]})


@pytest.mark.parametrize(
    ("name", "content", "have"),
    [
        ("a.jsonl", '{"text": "one", "topic": "x"}\n{"text": "two", "kind": "y"}\n', "text, topic"),
        ("a.json", '[{"text": "one", "topic": null}]', "text, topic"),
        ("a.txt", "one", "no fields"),
    ],
)
def test_a_meta_field_that_no_document_has_is_named(
    tmp_path: Path, name: str, content: str, have: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(content, encoding="utf-8")
    source = {"kind": "files", "path": str(tmp_path / "in"), "meta_fields": ["label"]}
    config = CollectConfig.model_validate({"sources": [source]})
    with pytest.raises(SourceError) as error:
        collect.fn(snapshot(config, tmp_path / "home"), config, Run(tmp_path / "home"))
    assert f"has the field 'label' that meta_fields names; its records have {have}. " in str(error.value)


def test_a_file_that_is_read_can_not_judge(tmp_path: Path) -> None:
    folder = _write(tmp_path / "in", a=["one"], b=["two"])
    (tmp_path / "link.jsonl").symlink_to(folder / "b.jsonl")
    exam = {"kind": "files", "name": "exam", "path": str(tmp_path / "link.jsonl")}
    message = r"link\.jsonl is in collect\.sources \(mine\) and in collect\.evaluation_sets \(exam\)"
    with pytest.raises(SourceError, match=message):
        snapshot(_config(folder, evaluation_sets=[exam]), tmp_path / "home")
    # Contexts may be learnt of a file whose questions are the exam.
    snapshot(_config(folder, evaluation_sets=[exam | {"text_field": "question"}]), tmp_path / "home")


def test_what_no_artifact_was_made_from_is_forgotten(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wanted = _collected(home, _config(_write(tmp_path / "in", a=["one"])))
    _collected(home, _config(_write(tmp_path / "other", b=["two"])))
    assert kept_sources.forget_unused(Store(home)) == 0
    Store(home).collect_garbage({(wanted.stage, wanted.key)})
    assert kept_sources.forget_unused(Store(home)) > 0
    [path] = home.glob("collected/*/documents/*")
    assert pq.read_table(path)["text"].to_pylist() == ["one"]


def test_small_segments_become_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SECONDS", 0.0)
    number = segments.MOST_SMALL_SEGMENTS + 4
    folder = _write(tmp_path / "in", **{f"f{n:02}": [f"text {n}", ""] for n in range(number)})
    artifact = _collected(tmp_path / "home", _config(folder))
    monkeypatch.setattr(segments, "SEGMENT_SECONDS", 30.0)
    _write(folder, g=["last"])
    second = _collected(tmp_path / "home", _config(folder))
    assert len(list((tmp_path / "home").glob("collected/*/items/*"))) < segments.MOST_SMALL_SEGMENTS
    assert [row["text"] for row in _rows(tmp_path / "home", second)] == [
        *(row["text"] for row in _rows(tmp_path / "home", artifact)),
        "last",
    ]
    assert len(_rows(tmp_path / "home", second, "skipped.parquet")) == number


def test_projects_that_share_a_home_get_their_own_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    """The same relative path, and files of one size and time; each keeps what it has read."""
    home, config = tmp_path / "home", _config(Path("in"))
    found = {}
    for project in ("alpha", "bravo", "alpha", "bravo"):
        (tmp_path / project).mkdir(exist_ok=True)
        if project not in found:
            _write(tmp_path / project / "in", a=[project])
        monkeypatch.chdir(tmp_path / project)
        found[project] = _collected(home, config)
        assert [row["text"] for row in _rows(home, found[project])] == [project]
    assert reads == ["a", "a"]
    assert kept_sources.forget_unused(Store(home)) == 0

    # Elsewhere the same files are read again, and give the same.
    (tmp_path / "alpha").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert _collected(home, config).digest == found["alpha"].digest
    assert reads == ["a", "a", "a"]


def test_another_content_of_one_size_and_time_is_read(tmp_path: Path, reads: list[str]) -> None:
    config, home = _config(_write(tmp_path / "in", a=["one"], b=["two"])), tmp_path / "home"
    _collected(home, config)
    _write(tmp_path / "in", b=["six"])
    changed = _collected(home, config)
    assert [row["text"] for row in _rows(home, changed)] == ["one", "six"]
    assert (reads, _changes_of(home, changed)["changed"]) == (["a", "b", "b"], ["b"])
    assert changed.digest == _collected(tmp_path / "other", config).digest


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
