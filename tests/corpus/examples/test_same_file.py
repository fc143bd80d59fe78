"""No file of examples is on both sides, whatever it is called."""

import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import CorpusError
from corpus.examples.config import FilesExamples
from corpus.examples.same_file import also_collected
from tasks.examples import example_files
from tests.corpus.examples.example_files import BY_NUMBER, TSV, read, write

OTHER = TSV.replace("text", "other")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, _here: None) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", test__tsv=TSV, train__tsv=OTHER, more__tsv=TSV.replace("text", "more"))


def config(train: Any, test: Any, **more: Any) -> FilesExamples:
    return FilesExamples(task="classification", train=train, test=test, **BY_NUMBER, **more)


def refused(*words: str, train: Any, test: Any, **more: Any) -> None:
    """Both the look before the run and the reading refuse it."""
    with pytest.raises(CorpusError, match=".*".join(map(re.escape, words))):
        example_files(config(train, test, **more))
    with pytest.raises(CorpusError, match=".*".join(map(re.escape, words))):
        read("classification", train, test=test, **BY_NUMBER, **more)


def test_a_test_file_that_the_pattern_of_train_matches() -> None:
    words = ("data/test.tsv is in examples.train (data/*.tsv)", "in examples.test (data/test.tsv)", "judge")
    refused(*words, train="data/*.tsv", test="data/test.tsv")
    refused("examples.train (data)", "examples.test", train="data", test="data/../data/test.tsv")
    refused(
        "examples.validation (data/*e*t.tsv)",
        "examples.test",
        train="data/train.tsv",
        validation="data/*e*t.tsv",
        test="data/test.tsv",
    )


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_lead_to_one_file(tmp_path: Path, link: Any) -> None:
    link(tmp_path / "data" / "test.tsv", tmp_path / "copy.tsv")
    refused("data/test.tsv", "under the name copy.tsv", train="copy.tsv", test="data/test.tsv")
    link(tmp_path / "data" / "more.tsv", tmp_path / "data" / "a_link.tsv")
    refused(
        "in examples.train (data/[am]*.tsv) twice",
        "count double",
        train="data/[am]*.tsv",
        test="data/test.tsv",
    )


def test_files_of_parallel_texts_name_their_field(tmp_path: Path) -> None:
    write(tmp_path, a__en="one\ntwo\n", b__en="one\ntwo\n", a__de="eins\nzwei\n")
    (tmp_path / "b.de").symlink_to(tmp_path / "a.de")
    with pytest.raises(
        CorpusError, match=r"a\.de is in examples\.train\.target .* examples\.test\.target \(\./a\.de\)"
    ):
        read("seq2seq", {"source": "a.en", "target": "b.de"}, test={"source": "b.en", "target": "./a.de"})


def test_a_copy_in_an_archive_or_under_another_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("train.tsv", OTHER)
        archive.writestr("exam.tsv", TSV)
    with pytest.raises(
        CorpusError, match=r"all\.zip!exam\.tsv of train and data/test\.tsv of test hold the same"
    ):
        read("classification", "all.zip", test="data/test.tsv", **BY_NUMBER)
    shutil.copy(tmp_path / "data" / "test.tsv", tmp_path / "data" / "copied.tsv")
    with pytest.raises(
        CorpusError, match=r"data/copied\.tsv of train and data/test\.tsv of test hold the same"
    ):
        read("classification", "data/[ct]*d.tsv", test="data/test.tsv", **BY_NUMBER)


def test_a_copy_with_other_line_ends(tmp_path: Path) -> None:
    for copy in (TSV.replace("\n", "\r\n"), TSV.rstrip("\n"), f"\ufeff\n{TSV}"):
        write(tmp_path, copy__tsv=copy)
        with pytest.raises(CorpusError, match=r"copy\.tsv of train and data/test\.tsv of test hold the same"):
            read("classification", "copy.tsv", test="data/test.tsv", **BY_NUMBER)


def test_files_apart_are_read() -> None:
    found = read("classification", "data/[mr]*.tsv", test="data/test.tsv", **BY_NUMBER)
    assert len(found.examples["test"]) == 20


def test_a_test_file_that_the_corpus_is_made_of_is_said() -> None:
    examples = config("data/train.tsv", "data/test.tsv")
    sources = {"own": "data/t*.tsv", "gone": "data/none*", "more": "data/more.tsv"}
    assert list(also_collected(examples, sources)) == [
        "examples.test data/test.tsv is collected too (collect.sources, own), so the model learns the texts "
        "that it is judged by, without their labels; narrow the source's path"
    ]
    assert not list(also_collected(examples, {"own": "data/train.tsv"}))
