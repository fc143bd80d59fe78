"""The Hugging Face source, on local copies and without a hub."""

import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from tasks.errors import SourceError
from tasks.sources.hub import HubSource, documents, fingerprint

ROWS = {"text": ["first", "", "第三"], "label": [0, 1, 2]}


def test_a_saved_data_set(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "one")
    DatasetDict({"validation": Dataset.from_dict(ROWS)}).save_to_disk(tmp_path / "many")
    skipped: list[str] = []
    for config in (
        HubSource(dataset=str(tmp_path / "one")),
        HubSource(dataset=str(tmp_path / "many"), split="validation"),
    ):
        found = list(documents(config, lambda uri, reason: skipped.append(reason)))
        assert [document.text for document in found] == ["first", "第三"]
        assert found[1].uri == f"hf:{config.dataset}/{config.split}#2"
    assert skipped == ["empty", "empty"]


def test_a_folder_of_data_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"body": "a"}\n{"body": "b"}\n')
    config = HubSource(dataset=str(tmp_path / "data"), text_field="body")
    assert [document.text for document in documents(config, lambda *_: None)] == ["a", "b"]
    with pytest.raises(SourceError, match="columns are body"):
        list(documents(HubSource(dataset=str(tmp_path / "data")), lambda *_: None))


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    DatasetDict({"validation": Dataset.from_dict(ROWS)}).save_to_disk(tmp_path)
    with pytest.raises(SourceError, match="split 'train'"):
        list(documents(HubSource(dataset=str(tmp_path)), lambda *_: None))


def test_a_hub_out_of_reach_names_the_way_out(tmp_path: Path) -> None:
    program = (
        "from tasks.sources.hub import HubSource, documents\n"
        "from tasks.errors import SourceError\n"
        "try: list(documents(HubSource(dataset='nobody/nothing'), print))\n"
        "except SourceError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert "can't be reached" in done.stdout, done.stderr
    assert "save_to_disk" in done.stdout


def test_fingerprint_follows_local_files(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n')
    before = fingerprint(HubSource(dataset=str(tmp_path)))
    (tmp_path / "train.jsonl").write_text('{"text": "b"}\n')
    assert before != fingerprint(HubSource(dataset=str(tmp_path)))
