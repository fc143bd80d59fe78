"""The stage: what it refuses, what it leaves out and counts, and what it says of changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.collect import CollectConfig, Snapshot, collect, snapshot
from tasks.contract.errors import SourceError
from tasks.contract.run import Run
from tests.corpus.sources.site import html, serve
from tests.tasks.collection.files_source import changes_of, collected, files_config, rows_of, write


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    source = {"kind": "files", "path": str(tmp_path)}
    with pytest.raises(ValidationError, match="two sources are named 'files'"):
        CollectConfig.model_validate({"sources": [source], "evaluation_sets": [source]})


def test_a_file_that_is_read_can_not_judge(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a=["one"], b=["two"])
    (tmp_path / "link.jsonl").symlink_to(folder / "b.jsonl")
    exam = {"kind": "files", "name": "exam", "path": str(tmp_path / "link.jsonl")}
    message = r"link\.jsonl is in collect\.sources \(mine\) and in collect\.evaluation_sets \(exam\)"
    with pytest.raises(SourceError, match=message):
        snapshot(files_config(folder, evaluation_sets=[exam]), tmp_path / "home")
    # Contexts may be learnt of a file whose questions are the exam.
    snapshot(files_config(folder, evaluation_sets=[exam | {"text_field": "question"}]), tmp_path / "home")


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no document in mine \(left out: 2 empty\)"):
        collected(tmp_path / "home", files_config(write(tmp_path / "in", a=["", " "])))


def test_too_much_that_is_unusable_stops_the_stage(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a=["good", "", *[7] * 3], b=["good"] * 5)
    message = r"3 of 9 records of mine \(33%\) can't be used: 3 .*a\.jsonl#3.*max_bad_share \(now 0\.1\)"
    with pytest.raises(SourceError, match=message):
        collected(tmp_path / "home", files_config(folder))
    artifact = collected(tmp_path / "home", files_config(folder, max_bad_share=0.4))
    assert len(rows_of(tmp_path / "home", artifact)) == 6
    assert len(rows_of(tmp_path / "home", artifact, "skipped.parquet")) == 4


def test_a_wrong_text_field_is_said_to_be_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a=["one"])
    config = CollectConfig.model_validate(
        {"sources": [{"kind": "files", "path": str(folder), "text_field": "body"}]}
    )
    with pytest.raises(SourceError, match=r"no field 'body'; .*\); set text_field, or raise"):
        collected(tmp_path / "home", config)


def test_only_allowed_licences_stay(tmp_path: Path) -> None:
    write(tmp_path / "in", a=["one"])
    write(tmp_path / "more", b=["two", "three"])
    sources = [
        {"kind": "files", "name": "free", "path": str(tmp_path / "in"), "license": "CC0-1.0"},
        {"kind": "files", "name": "unstated", "path": str(tmp_path / "more")},
    ]
    config = CollectConfig.model_validate({"sources": sources, "allowed_licenses": ["CC0-1.0", "MIT"]})
    artifact = collected(tmp_path / "home", config)
    assert [row["text"] for row in rows_of(tmp_path / "home", artifact)] == ["one"]
    left_out = rows_of(tmp_path / "home", artifact, "skipped.parquet")
    assert [(row["source"], row["reason"], row["detail"]) for row in left_out] == [
        ("unstated", "licence not allowed", "none stated")
    ] * 2
    ledger = rows_of(tmp_path / "home", artifact, "ledger.parquet")
    assert [(row["documents"], row["skipped"]) for row in ledger] == [(1, 0), (0, 2)]
    manifest = Run(tmp_path / "home").store.manifest("collect", artifact.key)
    assert manifest
    assert manifest.counts["documents"] == 1
    assert manifest.counts["records left out"] == 2


def test_evaluation_sets_are_kept_apart(tmp_path: Path) -> None:
    folder, held_out = write(tmp_path / "in", a=["one"]), write(tmp_path / "test", t=["question"])
    evaluation = [{"kind": "files", "name": "benchmark", "path": str(held_out)}]
    artifact = collected(tmp_path / "home", files_config(folder, evaluation_sets=evaluation))
    assert [row["text"] for row in rows_of(tmp_path / "home", artifact)] == ["one"]
    [question] = rows_of(tmp_path / "home", artifact, "evaluation")
    assert (question["text"], question["source"]) == ("question", "benchmark")


def test_an_item_that_is_still_listed_and_empty_now_was_removed(tmp_path: Path) -> None:
    folder, home = write(tmp_path / "in", a=["one"], b=["two"], never=[]), tmp_path / "home"
    config = files_config(folder)
    assert changes_of(home, collected(home, config)) == {"new": ["a", "b"], "changed": [], "removed": []}
    write(folder, b=[], never=[])
    assert changes_of(home, collected(home, config)) == {"new": [], "changed": [], "removed": ["b"]}
    write(folder, b=["two, again"])
    assert changes_of(home, collected(home, config)) == {"new": ["b"], "changed": [], "removed": []}


def test_a_snapshot_from_another_process_lists_again(tmp_path: Path) -> None:
    with serve() as site:
        site.put("/a", html("Alpha"))
        source = {"kind": "web", "start": [f"{site.url}/a"], "requests_per_second": 1000}
        config, home = CollectConfig.model_validate({"sources": [source]}), tmp_path / "home"
        taken = Snapshot.model_validate(snapshot(config, home).model_dump())
        [row] = rows_of(home, collect.fn(taken, config, Run(home)))
    assert (row["source"], row["uri"]) == ("web", f"{site.url}/a")
