"""The head of a file is read as a run would read it; what its name does not tell shows in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.errors import CorpusError
from corpus.profiling import sample
from corpus.profiling.sample import Sample, sampled


def read(folder: Path, name: str, text: str | bytes) -> Sample:
    """The sample of a file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return sampled(str(path))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "EU\tB-ORG\nsays\tO\n\nno\tO\n", "conll"),
        ("a.txt", "EU NNP B-ORG\nsays VBZ O\n\nno UH O\n", "conll"),
        ("a.txt", "label\ttext\n1\ta warm film\n0\ta cold one\n", "tsv"),
        ("a.txt", "label;text\n1;a warm film\n0;a cold one\n", "csv"),
        ("a.txt", '{"text": "a", "label": "b"}\n{"text": "c", "label": "d"}\n', "json"),
        (
            "a.json",
            '{"version": "1", "data": [{"title": "t", "paragraphs": [{"context": "a b", "qas": []}]}]}',
            "squad",
        ),
        ("a.txt", "A man walks.\nA dog, a cat and a bird.\n", "text"),
    ],
)
def test_content_tells_the_format_that_a_name_does_not(name: str, text: str, expected: str) -> None:
    assert sample.format_in(name, text) == expected


def test_a_first_line_of_values_is_no_header(tmp_path: Path) -> None:
    bare = read(tmp_path, "a.tsv", "a warm film\t1\na cold one\t0\nnothing new\t1\n")
    assert not bare.header
    assert bare.rows[0] == {"1": "a warm film", "2": "1"}
    by_labels = read(tmp_path, "b.csv", "good film,pos\nbad film,neg\nfine film,pos\n")
    assert not by_labels.header


def test_names_of_columns_are_a_header_and_semicolons_are_found(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv", "review;stars\nwarm, funny;5\ncold, long;1\n")
    assert (found.header, found.delimiter, found.rows[0]) == (
        True,
        ";",
        {"review": "warm, funny", "stars": "5"},
    )


def test_what_stands_before_every_word_is_found(tmp_path: Path) -> None:
    found = read(tmp_path, "a.conll", "en:Rome\tB-LOC\nen:fell\tO\n\nen:He\tO\n")
    assert (found.strip_prefix, found.rows[0]) == ("en:", {"words": ["Rome", "fell"], "tags": ["B-LOC", "O"]})


def test_the_encoding_is_said(tmp_path: Path) -> None:
    text = "текст,метка\n" + "хороший тёплый фильм про людей,да\nплохой холодный фильм,нет\n" * 20
    assert read(tmp_path, "a.csv", text.encode("cp1251")).encodings == ("windows-1251",)


def test_a_row_that_stops_a_run_is_said_by_its_place_alone(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv", "text,label\none two,a\nsecret,b,c,d\n")
    assert found.fault.startswith("ragged row")
    assert "line 3" in found.fault
    assert "secret" not in found.fault
    assert len(found.rows) == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_of_a_large_file_the_first_lines_are_read(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MOST_BYTES", 2000)
    rows = [f"a text number {number}" for number in range(500)]
    texts = {
        "csv": "text,label\n" + "".join(f'"{row}\n",x\n' for row in rows),
        "jsonl": "".join(f'{{"text": "{row}", "label": "x"}}\n' for row in rows),
        "json": "[" + ",\n".join(f'{{"text": "{row}", "label": "x"}}' for row in rows) + "]",
    }
    found = read(tmp_path, f"a.{suffix}", texts[suffix])
    assert found.has_more
    assert not found.fault
    assert 20 < len(found.rows) < 100


def test_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MOST_ROWS", 10)
    found = read(tmp_path, "a.csv", "text,label\n" + "a b c,d\n" * 50)
    assert (len(found.rows), found.has_more) == (10, True)


def test_what_can_not_be_read_is_one_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"a\.csv: no row can be read"):
        read(tmp_path, "a.csv", "text,label\n")
    with pytest.raises(CorpusError, match="an old Excel workbook; let its name end in"):
        read(tmp_path, "a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100)
