"""Spans as files write them, in examples of relations."""

import json
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import CorpusError
from corpus.examples.spans import span_in
from tests.corpus.examples.example_files import read, write

ADA = {"start": 0, "end": 3}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([0, 3], ADA),
        ([0.0, 3.0], ADA),
        ("[0, 3]", ADA),
        (ADA, ADA),
        (ADA | {"text": "Ada", "type": "person"}, ADA | {"text": "Ada"}),
    ],
)
def test_a_span_is_read(written: Any, read: dict[str, Any]) -> None:
    assert span_in(written) == read


@pytest.mark.parametrize(
    "written", [[0], [0, 3, 4], [0, 2.5], [True, 3], "0-3", 7, {"start": 0}, {}, {"start": "0", "end": 3}]
)
def test_what_is_none_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="holds no two places in the text; write"):
        span_in(written)


def rows(**changed: Any) -> str:
    """Ten examples with spans; the last is changed."""
    made = [
        {"text": f"Ada lives in London {n}.", "head": [0, 3], "tail": [13, 19], "label": "ab"[n % 2]}
        for n in range(10)
    ]
    return "".join(json.dumps(row) + "\n" for row in [*made[:-1], made[-1] | changed])


def test_spans_have_their_text_and_tags_stay_in_theirs(tmp_path: Path) -> None:
    tagged = "".join(f"<e1>Ada</e1> lives in <e2>London</e2> {n}.\t{'ab'[n % 2]}\n" for n in range(10))
    write(tmp_path, a__jsonl=rows(), b__tsv="text\tlabel\n" + tagged)
    first, *_ = read("relations", str(tmp_path / "a.jsonl")).examples["train"]
    assert (first["head"], first["tail"]) == (
        ADA | {"text": "Ada"},
        {"start": 13, "end": 19, "text": "London"},
    )
    first, *_ = read("relations", str(tmp_path / "b.tsv")).examples["train"]
    assert first.keys() == {"id", "text", "label"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tail": [13, 40]}, r"a.jsonl, line 10: its tail is from 13 to 40, and the text has 22 characters"),
        ({"tail": [-5, 3]}, r"a.jsonl, line 10: its tail is from -5 to 3"),
        ({"tail": [1, 9]}, r"a.jsonl, line 10: its entities 'Ada' and 'da lives' overlap"),
        ({"tail": {"start": 13, "end": 18, "text": "London"}}, r"line 10: its tail is said to be 'London'"),
        ({"tail": "London"}, r"a.jsonl, line 10: 'tail' holds no two places in the text"),
        ({"tail": None}, r"a.jsonl, line 10: it has a head only; mark both entities"),
    ],
)
def test_a_wrong_one_is_named_with_its_line(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    write(tmp_path, a__jsonl=rows(**changed))
    with pytest.raises(CorpusError, match=said):
        read("relations", str(tmp_path / "a.jsonl"))


def test_one_label_is_too_few(tmp_path: Path) -> None:
    write(tmp_path, a__jsonl=rows(label="a").replace('"b"', '"a"'))
    with pytest.raises(CorpusError, match="every training example has the label 'a'; two are needed"):
        read("relations", str(tmp_path / "a.jsonl"))
