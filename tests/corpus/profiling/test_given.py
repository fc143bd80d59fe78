"""Files are for training, validation or test by their names, and belong together in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from corpus.errors import CorpusError
from corpus.profiling.given import given, split_of

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes files, and is in the folder that they are in."""
    monkeypatch.chdir(tmp_path)

    def files(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("x", encoding="utf-8")

    return files


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("reviews_dev.jsonl", "validation"),
        ("valid-00000-of-00001.parquet", "validation"),
        ("val.de.gz", "validation"),
        ("sst2-test.tsv", "test"),
        ("contest.csv", None),
        ("trains.csv", None),
    ],
)
def test_names_say_the_split(name: str, split: str | None) -> None:
    assert split_of(f"data/{name}") == split


def test_a_folder_is_divided_by_names_without_what_is_no_data(make: Make) -> None:
    make("set/train.tsv", "set/dev.tsv", "set/test.tsv", "set/README.md", "set/LICENSE", "set/.DS_Store")
    files = given(["set"]).files
    assert files == {"train": ["set/train.tsv"], "validation": ["set/dev.tsv"], "test": ["set/test.tsv"]}


def test_files_beside_a_training_file_belong_to_it_and_are_named(make: Make) -> None:
    make("train.csv", "dev.csv", "test.jsonl", "other.csv")
    found = given(["train.csv"])
    assert found.files == {"train": ["train.csv"], "validation": ["dev.csv"]}
    assert found.beside == ["dev.csv"]
    assert given(["other.csv"]).files == {"train": ["other.csv"]}


def test_parallel_files_keep_their_order_in_each_split(make: Make) -> None:
    make("mt/train.de", "mt/train.en", "mt/val.de", "mt/val.en")
    assert given(["mt"]).files["validation"] == ["mt/val.en", "mt/val.de"]
    mixed = given(["mt/train.de", "mt/train.en", "mt/val.en", "mt/val.de"]).files
    assert mixed == {"train": ["mt/train.de", "mt/train.en"], "validation": ["mt/val.de", "mt/val.en"]}


def test_folders_in_a_folder_are_labels(make: Make) -> None:
    make("reviews/pos/1.txt", "reviews/neg/1.txt")
    found = given(["reviews"])
    assert (found.files, found.labels) == ({"train": ["reviews"]}, ["neg", "pos"])
    make("imdb/train/pos/1.txt", "imdb/train/neg/1.txt", "imdb/test/pos/1.txt", "imdb/test/neg/1.txt")
    found = given(["imdb"])
    assert (found.files, found.labels) == ({"train": ["imdb/train"], "test": ["imdb/test"]}, ["neg", "pos"])


def test_many_files_of_a_kind_are_a_pattern(make: Make) -> None:
    make("parts/a.jsonl", "parts/b.jsonl", "parts/c.jsonl")
    assert given(["parts"]).files == {"train": ["parts/*.jsonl"]}


def test_what_is_not_there_is_refused(make: Make) -> None:
    with pytest.raises(CorpusError, match=r"nothing\.csv: there is no such file"):
        given(["nothing.csv"])
    make("empty/README.md")
    with pytest.raises(CorpusError, match="no file of examples in it"):
        given(["empty"])
