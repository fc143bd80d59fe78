"""The Hugging Face source, on local copies and without a hub."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from corpus.documents import Document, Item
from corpus.errors import SourceError
from corpus.sources.files import FilesSource
from corpus.sources.files import items as list_files
from corpus.sources.files import read as read_file
from corpus.sources.hub import HubSource, items, read

ROWS = {
    "text": ["first", "", "第三", "x" * 100],
    "label": [0, 1, 2, None],
    "article": [{"body": ["a", "b"]}, {"body": ["c"]}, {"body": None}, {"body": []}],
}


def _read(config: HubSource) -> tuple[list[Document], list[str]]:
    [item] = items(config, {})
    left_out: list[str] = []
    return list(read(config, item, lambda uri, reason, detail: left_out.append(reason))), left_out


def test_a_saved_data_set(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "one")
    DatasetDict({"validation": Dataset.from_dict(ROWS)}).save_to_disk(tmp_path / "many")
    options: dict[str, Any] = {"meta_fields": ("label",), "max_document_bytes": 50}
    for config in (
        HubSource(dataset=str(tmp_path / "one"), **options),
        HubSource(dataset=str(tmp_path / "many"), split="validation", **options),
    ):
        found, left_out = _read(config)
        assert [(document.text, document.meta) for document in found] == [
            ("first", {"label": 0}),
            ("第三", {"label": 2}),
        ]
        assert found[1].uri == f"hf:{config.dataset}/{config.split}#2"
        assert found[1].extractor.startswith("datasets ")
        assert left_out == ["empty", "too large"]


CLASSES = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=["negative", "positive"]),
        "tags": List(ClassLabel(names=["O", "B-LOC"])),
        "nested": {"stars": ClassLabel(names=["one", "two"])},
    }
)
CLASSED = {
    "text": ["bad", "good", "unknown"],
    "label": [0, 1, -1],
    "tags": [[0, 1], [], [1]],
    "nested": [{"stars": 1}, {"stars": 0}, {"stars": None}],
}
NAMED = [
    {"label": "negative", "tags": ["O", "B-LOC"], "nested.stars": "two"},
    {"label": "positive", "tags": [], "nested.stars": "one"},
    {"tags": ["B-LOC"]},
]


@pytest.mark.parametrize("written_by", ["save_to_disk", "to_parquet"])
def test_classes_are_names(tmp_path: Path, written_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows, fields = Dataset.from_dict(CLASSED, features=CLASSES), ("label", "tags", "nested.stars")
    if written_by == "save_to_disk":
        rows.save_to_disk(tmp_path / "data")
    else:
        (tmp_path / "data").mkdir()
        rows.to_parquet(tmp_path / "data" / "train.parquet")
        files = FilesSource(path=str(tmp_path / "data" / "train.parquet"), meta_fields=fields)
        [item] = list_files(files, {})
        assert [document.meta for document in read_file(files, item, print)] == NAMED
    found, _ = _read(HubSource(dataset=str(tmp_path / "data"), meta_fields=fields))
    assert [document.meta for document in found] == NAMED


def test_nested_columns_and_lists(tmp_path: Path) -> None:
    Dataset.from_dict(ROWS).save_to_disk(tmp_path)
    found, left_out = _read(HubSource(dataset=str(tmp_path), text_field="article.body"))
    assert [document.text for document in found] == ["a\nb", "c"]
    assert left_out == ["empty", "empty"]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_folder_of_data_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"body": "a"}\n{"body": "b"}\n', encoding="utf-8")
    config = HubSource(dataset=str(tmp_path / "data"), text_field="body", streaming=streaming)
    assert [document.text for document in _read(config)[0]] == ["a", "b"]
    with pytest.raises(SourceError, match="no field 'text'; found body; set text_field"):
        _read(HubSource(dataset=str(tmp_path / "data"), streaming=streaming))


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    DatasetDict({"validation": Dataset.from_dict(ROWS)}).save_to_disk(tmp_path)
    with pytest.raises(SourceError, match="split 'train'"):
        _read(HubSource(dataset=str(tmp_path)))


def test_a_version_follows_local_files(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    config = HubSource(dataset=str(tmp_path))
    before = list(items(config, {}))
    assert before == list(items(config, {}))
    (tmp_path / "train.jsonl").write_text('{"text": "a longer one"}\n', encoding="utf-8")
    assert before != list(items(config, {}))


def test_a_pinned_commit_is_not_looked_up() -> None:
    config = HubSource(dataset="nobody/nothing", revision="0" * 40)
    assert list(items(config, {})) == [Item("hf:nobody/nothing/default/train", "0" * 40)]


def test_a_hub_out_of_reach_names_the_way_out(tmp_path: Path) -> None:
    """In a process of its own: whether the hub is offline is decided when the library is imported."""
    program = (
        "from corpus.errors import SourceError\n"
        "from corpus.sources.hub import HubSource, items, read\n"
        "from tests.corpus.sources.printed import Printed\n"
        "config = HubSource(dataset='nobody/nothing')\n"
        "pinned = HubSource(dataset='nobody/nothing', revision='0' * 40)\n"
        "both = (lambda: list(items(config, {})), lambda: list(read(pinned, *items(pinned, {}), print)))\n"
        "for attempt in both:\n"
        "    try: attempt()\n"
        "    except SourceError as error: print(error)\n"
        "print(list(items(config, {'hf:nobody/nothing/default/train': 'abc'}, Printed())))\n"
    )
    for offline, endpoint in (("1", "https://huggingface.co"), ("0", "http://127.0.0.1:9")):
        started = time.monotonic()
        environment = {"HF_HUB_OFFLINE": offline, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            encoding="utf-8",
        )
        assert done.stdout.count("can't be reached") == 3, done.stdout + done.stderr
        assert "save_to_disk" in done.stdout
        assert "going on with commit abc" in done.stdout
        assert time.monotonic() - started < 60
