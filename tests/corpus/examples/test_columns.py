"""Tables as people have them: texts in several columns, labels by number, other names in the test file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.errors import CorpusError
from corpus.examples.config import FilesExamples
from tests.corpus.examples.example_files import ROWS, read, write

TABLE = "title,body,stars\n" + "".join(f"T{n},text {n},{n % 2}\n" for n in range(20))
COLUMNS: dict[str, Any] = {"text": ["title", "body"], "label": "stars"}


def test_a_text_of_several_columns_has_each_on_a_line(tmp_path: Path) -> None:
    write(tmp_path, a__csv=f"{TABLE},only a body,1\n")
    splits = read("classification", "a.csv", columns=COLUMNS)
    texts = {one["id"]: one["text"] for split in splits.examples.values() for one in split}
    assert texts["a.csv:2"] == "T0\ntext 0"
    assert texts["a.csv:22"] == "only a body"
    assert splits.remarks["texts joined without a column that is empty"] == 1


def test_a_missing_value_of_json_is_an_empty_column(tmp_path: Path) -> None:
    rows = [{"title": None if n else "First", "body": f"text {n}", "stars": n % 2} for n in range(12)]
    write(tmp_path, a__jsonl="".join(json.dumps(row) + "\n" for row in rows))
    assert (
        read("classification", "a.jsonl", columns=COLUMNS).remarks[
            "texts joined without a column that is empty"
        ]
        == len(rows) - 1
    )


@pytest.mark.parametrize("names", [{"0": "bad", "1": "good"}, ["bad", "good"], {"0.0": "bad", "1": "good"}])
def test_labels_by_number_have_names(tmp_path: Path, names: Any) -> None:
    write(tmp_path, a__csv=TABLE.replace(",0\n", ",0.0\n").replace(",1\n", ",1.0\n"))
    splits = read("classification", "a.csv", columns=COLUMNS, label_names=names)
    assert splits.labels == ["bad", "good"]


def test_columns_of_labels_and_numbers_of_tags_have_names_too(tmp_path: Path) -> None:
    write(tmp_path, a__csv="".join(f"text {n},{n % 2},1\n" for n in range(20)))
    names = {"2": "toxic", "3": "rude"}
    columns = {"text": 1, "labels": [2, 3]}
    splits = read("multi_label", "a.csv", header=False, columns=columns, label_names=names)
    assert splits.labels == ["rude", "toxic"]
    rows = [{"words": ["New", "York", str(n)], "tags": [1, 2, 0]} for n in range(9)]
    write(tmp_path, b__jsonl="".join(json.dumps(row) + "\n" for row in rows))
    tagged = read("token_classification", "b.jsonl", label_names=["O", "B-LOC", "I-LOC"])
    assert tagged.examples["train"][0]["tags"] == ["B-LOC", "I-LOC", "O"]


def test_a_test_file_may_call_its_columns_otherwise(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__csv=TABLE,
        gold__csv="sentence,stars\nanother,0\nand one more,1\n",
    )
    splits = read(
        "classification", "a.csv", columns=COLUMNS, test={"path": "gold.csv", "columns": {"text": "sentence"}}
    )
    assert [one["text"] for one in splits.examples["test"]] == ["another", "and one more"]


@pytest.mark.parametrize(
    ("table", "config", "message"),
    [
        (
            TABLE,
            {"columns": {"text": ["title", "text"], "label": "stars"}},
            "no column 'text' for text; there",
        ),
        (TABLE + " , ,1\n", {"columns": COLUMNS}, "a.csv, line 22: 'text' is empty; fill it in or remove"),
        (
            TABLE,
            {"columns": {**COLUMNS, "text": ["body", "body"]}},
            "name each column once, and one at least",
        ),
        (TABLE, {"columns": {**COLUMNS, "text": []}}, "name each column once, and one at least"),
        (
            TABLE,
            {"columns": {"text": "body", "label": ["stars", "title"]}},
            "several columns for 'label'; a te",
        ),
        (
            TABLE,
            {"columns": COLUMNS, "label_names": {"0": "bad"}},
            "a.csv, line 3: 'label' holds '1', which label_names does not name; it names 0",
        ),
        (
            TABLE,
            {"columns": COLUMNS, "test": {"path": "gold.csv", "columns": {"text": "said"}}},
            "for text; there are sentence, stars; name the right one in examples.test.columns",
        ),
        (
            TABLE,
            {"columns": COLUMNS, "test": {"path": "gold.csv", "columns": {"second": "sentence"}}},
            "test.columns names 'second', which columns does not, so the training examples have none",
        ),
        (
            TABLE,
            {"columns": COLUMNS, "test": {"path": "gold.csv", "columns": {"words": "sentence"}}},
            "test.columns names 'words', which is no field of the task",
        ),
    ],
)
def test_a_mistake_is_one_error(tmp_path: Path, table: str, config: dict[str, Any], message: str) -> None:
    write(tmp_path, a__csv=table, gold__csv="sentence,stars\nanother,0\n")
    with pytest.raises(CorpusError, match=re.escape(message)):
        read("classification", "a.csv", **config)


def test_names_are_for_labels(tmp_path: Path) -> None:
    write(tmp_path, a__tsv="".join(f"{text}\t{label}\n" for text, label in ROWS))
    with pytest.raises(CorpusError, match="label_names is for tasks with labels; leave it out"):
        read("matching", "a.tsv", header=False, columns={"first": 1, "second": 2}, label_names=["a", "b"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"1": "a", "1.0": "b"}, "'1' and '1.0' are one label; leave one of them out"),
        (["a", "a"], "'a' is there twice; a mapping may give two labels one name"),
        ({"1": " "}, "is empty; every example has a label"),
    ],
)
def test_names_that_can_not_be_meant_are_refused(names: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilesExamples(task="classification", train="a.csv", label_names=names)


def test_other_columns_need_a_path_and_columns() -> None:
    for test in ({"path": "gold.csv"}, {"columns": {"text": "a"}}, {"path": "a.csv", "columns": {}}):
        with pytest.raises(ValidationError):
            FilesExamples(task="classification", train="a.csv", test=test)
