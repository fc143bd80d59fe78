"""Each mistake in files of examples is one clear error, with the file and the line."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.errors import CorpusError
from tests.corpus.examples.example_files import BY_NUMBER, SENTENCE, TSV, read, squad, write


@pytest.mark.parametrize(
    ("files", "task", "config", "message"),
    [
        # A label that is missing from train, or only in test.
        (
            {"a__tsv": TSV, "b__tsv": "x\tgood\ny\tugly\n"},
            "classification",
            {"test": "b.tsv", **BY_NUMBER},
            "b.tsv, line 2: no training example has the label 'ugly' of this test example; they have bad",
        ),
        (
            {
                "a__conll": "".join(f"{n} O\n{SENTENCE}\n" for n in range(9)),
                "b__conll": f"{SENTENCE}\nBonn B-PER\n",
            },
            "token_classification",
            {"test": "b.conll"},
            "b.conll, line 5: no training example has the label 'B-PER'",
        ),
        # All labels equal; none at all.
        (
            {"a__tsv": TSV.replace("bad\n", "good\n")},
            "classification",
            BY_NUMBER,
            "a.tsv: every training example has the label 'good'; two are needed",
        ),
        (
            {"a__tsv": "text\tlabels\n" + "".join(f"{n}\t\n" for n in range(9))},
            "multi_label",
            {},
            "a.tsv: no training example has a label",
        ),
        # Empty splits.
        (
            {"a__tsv": TSV, "b__tsv": "\n\n"},
            "classification",
            {"validation": "b.tsv", **BY_NUMBER},
            "b.tsv: no example in it; validation needs some",
        ),
        (
            {"a__tsv": "x\tgood\ny\tbad\n"},
            "classification",
            BY_NUMBER,
            "a.tsv: the 2 examples with 2 different inputs can't be divided: they are too few, or one",
        ),
        # Words and tags; BIO that is none.
        (
            {"a__jsonl": '{"words": ["a", "b"], "tags": ["O"]}\n'},
            "token_classification",
            {},
            "a.jsonl, line 1: 2 words and 1 tags; every word has one tag",
        ),
        (
            {"a__conll": f"{SENTENCE}\nBonn LOC\n"},
            "token_classification",
            {},
            "a.conll, line 5: the tag 'LOC' is none of BIO",
        ),
        (
            {"a__conll": "Rome\tB-LOC\n\tO\n"},
            "token_classification",
            {},
            "a.conll, line 1: 'words' has an empty entry",
        ),
        (
            {"a__jsonl": f'{{"text": "x", "label": {"1" * 5000}}}'},
            "classification",
            {},
            "a.jsonl, line 1: a number that can't be read",
        ),
        (
            {
                "a__json": squad({"text": "old", "answer_start": 8}).replace(
                    '"What?"', '"?", "is_impossible": true'
                )
            },
            "question_answering",
            {"format": "squad"},
            "is_impossible is true, and it has an answer",
        ),
        (
            {"a__json": squad().replace('"What?"', '"?", "is_impossible": "false"')},
            "question_answering",
            {"format": "squad"},
            "is_impossible is 'false'; write true or false",
        ),
        ({"a__conll": "Rome O\nis O X\n"}, "token_classification", {}, "a.conll, line 2: 3 columns, where"),
        (
            {"a__conll": "Rome\u3000O\n"},
            "token_classification",
            {},
            "a.conll, line 1: one column, 'Rome\\u3000O', where a word and its tag are wanted",
        ),
        (
            {"a__jsonl": '{"words": ["a"], "tags": [3]}\n'},
            "token_classification",
            {},
            "line 1: 'tags' holds numbers, not a list of words",
        ),
        (
            {"a__jsonl": '{"text": "x", "label": "a", "label": "b"}\n'},
            "classification",
            {},
            "a.jsonl, line 1: the key 'label' occurs twice",
        ),
        # Answers.
        (
            {"a__json": squad({"text": "new", "answer_start": 8})},
            "question_answering",
            {"format": "squad"},
            "a.json, line 11: the answer 'new' is not in its context",
        ),
        (
            {"a__json": squad({"text": "Rome"})},
            "question_answering",
            {"format": "squad"},
            "a.json, line 11: the answer 'Rome' is in its context more than once, and its start",
        ),
        (
            {"a__json": "[]"},
            "question_answering",
            {"format": "squad"},
            "a.json, line 1: not SQuAD's JSON: no l",
        ),
        (
            {"a__json": '{"data": [{"paragraphs": [{"qas": [{"id": "x"}]}]}]}'},
            "question_answering",
            {"format": "squad"},
            "a.json, line 1: not SQuAD's JSON: a question or its paragraph has no 'context'",
        ),
        # Ragged rows, missing columns, empty values.
        (
            {"a__tsv": TSV + "only one\n"},
            "classification",
            BY_NUMBER,
            "a.tsv, line 21: 1 columns, where the first row has 2 (1, 2); correct or remove the row",
        ),
        (
            {"a__csv": 'text,label\nx,a\n"y,b\nz,a\n'},
            "classification",
            {},
            "a.csv, line 3: not a row of CSV (unexpected end of data)",
        ),
        (
            {"a__tsv": "sentence\tpolarity\nx\ta\n"},
            "classification",
            {},
            "a.tsv, line 2: no column 'text' for text; there are sentence, polarity; name the right one in",
        ),
        ({"a__tsv": "text\ttext\nx\ta\n"}, "classification", {}, "line 1: the column 'text' occurs twice"),
        (
            {"a__tsv": TSV},
            "classification",
            {**BY_NUMBER, "columns": {"text": 1, "sentiment": 2}},
            "columns names 'sentiment', which is no field of the task; its fields are text, second, label",
        ),
        (
            {"a__tsv": TSV},
            "classification",
            {**BY_NUMBER, "group_by": "author"},
            "a.tsv, line 1: no column 'author' to group by; there are 1, 2",
        ),
        ({"a__tsv": TSV + " \tgood\n"}, "classification", BY_NUMBER, "a.tsv, line 21: 'text' is empty; fill"),
        ({"a__tsv": TSV + "x\t\n"}, "classification", BY_NUMBER, "a.tsv, line 21: 'label' is empty; every"),
        ({"a__jsonl": '{"text": "x", "label": null}'}, "classification", {}, "line 1: 'label' is null"),
        (
            {"a__jsonl": '{"text": 7, "label": "a"}'},
            "classification",
            {},
            "line 1: 'text' holds int, not text",
        ),
        (
            {"a__jsonl": '{"first": "x", "second": "y", "score": "high"}'},
            "similarity",
            {},
            "line 1: 'score' holds 'high', not a number",
        ),
        (
            {"a__jsonl": '{"messages": [{"role": "bot", "content": "Hi"}]}'},
            "instructions",
            {},
            "line 1: 'messages' has a message of role 'bot'; roles are system, user, assistant",
        ),
        (
            {"a__jsonl": '{"text": "x", "labels": {"a": 1}}'},
            "multi_label",
            {},
            "line 1: 'labels' holds dict, not one label",
        ),
        (
            {"a__jsonl": '{"text": "x", "label": NaN}'},
            "classification",
            {},
            "line 1: 'label' holds nan, not a",
        ),
        (
            {"a__jsonl": '{"text": "x", "second": "y", "label": "a"}\n{"text": "x", "second": null}'},
            "classification",
            {"columns": {"second": "second"}},
            "line 2: 'second' is null; fill it in",
        ),
        (
            {"a__jsonl": '{"text": "cut \\ud83d", "label": "a"}'},
            "classification",
            {},
            "line 1: it has half a character",
        ),
        # Files that are not what they are said to be.
        (
            {"a__json": '[{"text": "x", "label": "a"}]\ngarbage'},
            "classification",
            {},
            "a.json, line 2: not JSON",
        ),
        (
            {"a__jsonl": '{"text": "x", "label": "a"}\n\n{"text: 1}\n'},
            "classification",
            {},
            "line 3: not JSON (Invalid control",
        ),
        (
            {"a__jsonl": '"text"\n'},
            "classification",
            {},
            "a.jsonl, line 1: a JSON str, not an object",
        ),
        ({"a__json": '[{"text": "x"'}, "classification", {}, "a.json, line 1: not JSON"),
        ({"a__txt": TSV}, "classification", {}, "a.txt: its name does not say what it holds"),
        ({"a__tsv": b"\x89PNG\r\n\x1a\n\0\0"}, "classification", {}, "a.tsv can't be read: binary"),
        ({"a__gz": b"no gzip"}, "classification", {}, "a.gz can't be read: not compressed"),
        ({}, "classification", {}, "nothing matches 'a.tsv'; give an existing file"),
    ],
)
def test_a_mistake_is_one_error_that_names_its_place(
    tmp_path: Path, files: dict[str, Any], task: str, config: dict[str, Any], message: str
) -> None:
    write(tmp_path, **files)
    train = next((name.replace("__", ".") for name in files), "a.tsv")
    with pytest.raises(CorpusError, match=re.escape(message)) as raised:
        read(task, train, **config)
    assert str(raised.value).startswith("examples: ")
    assert "\n" not in str(raised.value)


def test_parallel_files_of_different_length(tmp_path: Path) -> None:
    write(tmp_path, a__en="one\ntwo\nthree\n", a__de="eins\nzwei\n")
    message = "a.de, line 2: the file ends here, another one goes on (lines: a.en 3, a.de 2)"
    with pytest.raises(CorpusError, match=re.escape(message)):
        read("seq2seq", {"source": "a.en", "target": "a.de"})


def test_an_empty_line_of_parallel_files_is_in_its_own_file(tmp_path: Path) -> None:
    write(tmp_path, a__en="one\ntwo\nthree\n", a__de="eins\n\ndrei\n")
    with pytest.raises(CorpusError, match=r"examples: a\.de, line 2: 'target' is empty"):
        read("seq2seq", {"source": "a.en", "target": "a.de"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"task": "sentiment", "train": "a.tsv"}, "no such task type; choose one of classification, "),
        ({"task": "seq2seq", "train": "a.en", "format": "parallel"}, "needs? a file for each field"),
        ({"task": "seq2seq", "train": {"source": "a", "target": "b"}, "test": "c"}, "otherwise than train"),
        ({"task": "seq2seq", "train": {"source": "a"}}, "for two or more of format parallel"),
        (
            {"task": "classification", "train": "a.json", "format": "json", "delimiter": ";"},
            "is for CSV and TSV",
        ),
        ({"task": "classification", "train": "a.csv", "delimiter": "::"}, "should match pattern"),
        ({"task": "classification", "train": "a.tsv", "test": "a.tsv"}, "a.tsv is named twice"),
        ({"task": "classification", "train": "https://me:word@host/a.tsv"}, "a user or password in it"),
        ({"task": "seq2seq", "train": {"source": "a", "target": "s3://me:word@b/t"}}, "a user or password"),
    ],
)
def test_what_does_not_go_together_is_said_before_any_file_is_read(
    config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        read(**config)
