"""Sets whose labels are in their paths: a folder for each, or a part of the name."""

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.errors import CorpusError
from corpus.examples.config import FilesExamples
from tests.corpus.examples.example_files import read, write

TEXTS = {
    f"{label}/{number}.txt": f"Film {number} was {label}." for number in range(6) for label in ("neg", "pos")
}


def lay(folder: Path, texts: dict[str, str] = TEXTS, **more: str | bytes) -> Path:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{text}\n", encoding="utf-8")
    write(folder, **more)
    return folder


def found(train: str, **config: Any) -> dict[str, tuple[str, str]]:
    """Text and label of every example by its id."""
    splits = read("classification", train, **config).examples.values()
    return {one["id"]: (one["text"], one["label"]) for split in splits for one in split}


def test_a_folder_is_the_label_of_the_texts_in_it(tmp_path: Path) -> None:
    lay(tmp_path / "reviews")
    texts = found("reviews", label_from="folder")
    assert texts["pos/3.txt"] == ("Film 3 was pos.", "pos")
    assert len(texts) == 12
    assert found("reviews/*/*.txt", label_from="folder") == texts
    assert found(f"{tmp_path}/reviews/", label_from="folder") == texts


@pytest.mark.parametrize("top", ["", "set/"])
def test_a_zip_is_read_as_the_folder_that_it_was(tmp_path: Path, top: str) -> None:
    with zipfile.ZipFile(tmp_path / "reviews.zip", "w") as archive:
        for path, text in TEXTS.items():
            archive.writestr(top + path, text)
        archive.writestr(f"__MACOSX/{top}neg/._1.txt", b"\0")
    texts = found("reviews.zip", label_from="folder", label_names={"pos": "good", "neg": "bad"})
    assert sorted(texts.values())[0] == ("Film 0 was neg.", "bad")
    assert len(texts) == 12


def test_train_and_test_are_folders_and_a_text_in_both_is_counted(tmp_path: Path) -> None:
    lay(tmp_path / "set" / "train", TEXTS | {"pos/again.txt": "Seen before."})
    lay(tmp_path / "set" / "test", {"pos/1.txt": "Seen before.", "neg/1.txt": "New."})
    splits = read("classification", "set/train", test="set/test", label_from="folder")
    assert [one["id"] for one in splits.examples["test"]] == ["test/neg/1.txt", "test/pos/1.txt"]
    assert splits.remarks["test examples whose input is in training"] == 1


def test_files_without_a_suffix_are_texts_where_the_recipe_says_so(tmp_path: Path) -> None:
    lay(tmp_path / "news", {path.replace(".txt", ""): text for path, text in TEXTS.items()})
    assert len(found("news", label_from="folder", format="text")) == 12
    with pytest.raises(CorpusError, match=r"news/neg/0: its name does not say what it holds .*\.txt=?"):
        found("news", label_from="folder")


def test_a_pattern_finds_the_label_in_the_path_and_not_in_what_leads_to_it(tmp_path: Path) -> None:
    lines = {name: "".join(f"{name} {number}\n" for number in range(9)) for name in ("neg", "pos")}
    lay(tmp_path / "pos" / "set", {f"rt-polarity.{name}": text for name, text in lines.items()})
    table: dict[str, Any] = {"format": "tsv", "header": False, "columns": {"text": 1}}
    texts = found("pos/set", label_from=r"(?P<label>pos|neg)$", **table)
    assert texts["rt-polarity.neg:2"] == ("neg 1", "neg")
    with pytest.raises(CorpusError, match=re.escape("finds no label in 'rt-polarity.neg'; correct the expr")):
        found("pos/set", label_from=r"(?P<label>pos)", **table)
    names = {f"{number:02}_{path.replace('/', '_')}": text for path, text in TEXTS.items() for number in [1]}
    lay(tmp_path / "flat", names)
    assert found("flat", label_from=r"^\d+_(?P<label>[a-z]+)_")["01_neg_0.txt"] == ("Film 0 was neg.", "neg")


def test_several_labels_may_be_in_the_name_of_a_folder(tmp_path: Path) -> None:
    lay(tmp_path / "a", {path.replace("pos", "pos,neg"): text for path, text in TEXTS.items()})
    assert read("multi_label", "a", label_from="folder").labels == ["neg", "pos"]


@pytest.mark.parametrize(
    ("texts", "more", "message"),
    [
        (TEXTS, {"readme__txt": "x"}, "set/readme.txt: it is in no folder of its own, from which label_from"),
        ({k: v for k, v in TEXTS.items() if "pos" in k}, {}, "has the label 'pos'; two are needed. Is exam"),
        (TEXTS | {"pos/none.txt": " "}, {}, "set/pos/none.txt: 'text' is empty; fill it in or remove"),
        (
            TEXTS | {"pos/a.txt": "some \0 bytes of no text"},
            {},
            "set/pos/a.txt can't be read: binary (a NUL byte in line 1",
        ),
        (TEXTS | {"pos/a.txt": "%PDF-1.4"}, {}, "set/pos/a.txt can't be read: it is a PDF"),
        (TEXTS | {"None/a.txt": "x"}, {}, "set/None/a.txt: 'label' holds 'None', which libraries print"),
    ],
)
def test_a_mistake_is_one_error_that_names_the_file(
    tmp_path: Path, texts: dict[str, str], more: dict[str, str], message: str
) -> None:
    lay(tmp_path / "set", texts, **more)
    with pytest.raises(CorpusError, match=re.escape(message)):
        found("set", label_from="folder")


def test_what_has_no_label_of_its_own_or_two_is_refused(tmp_path: Path) -> None:
    lay(tmp_path / "set")
    with pytest.raises(CorpusError, match="label_from is for tasks with a label for each example"):
        read("similarity", "set", label_from="folder")
    with pytest.raises(CorpusError, match="label_from and columns both name 'label'; leave one of them out"):
        found("set", label_from="folder", columns={"label": 2})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"label_from": "(pos|neg)"}, r"give folder, or a regular expression with a group \(\?P<label>"),
        ({"label_from": "(?P<label>pos"}, "no regular expression .*; give folder, or correct it"),
        ({"format": "text"}, "format text has no column for a label: set label_from"),
        ({"label_from": "folder", "train": {"a": "b", "c": "d"}}, "label_from is for files with all of an"),
    ],
)
def test_a_recipe_that_can_not_be_meant_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilesExamples(**{"task": "classification", "train": "set", **config})


def test_texts_alone_are_no_format_of_a_table(tmp_path: Path) -> None:
    write(tmp_path, a__txt="some\ttable\n")
    with pytest.raises(CorpusError, match=r"a\.txt: its name does not say .*; set examples\.format"):
        found("a.txt")
