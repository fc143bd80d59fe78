"""CSV and TSV as spreadsheets and libraries write them."""

import re
from typing import Any

import pytest

from corpus.errors import CorpusError
from tests.corpus.examples.example_files import ROWS, all_of, read, write
from tests.corpus.examples.test_from_files import texts_and_labels

SEMICOLONS = "".join(f'"{text}; yes";{label}\r\n' for text, label in ROWS)
SAID = sorted((f"{text}; yes", label) for text, label in ROWS)
QUOTED = "".join(f'"{text} said ""so"",\nand\twent"\t{label}\r\n' for text, label in ROWS)
EXCEL = "".join(
    f'"{text}, yes"\t{label}\n' if label == "bad" else f"{text}\t{label}\n" for text, label in ROWS
)
BY_NUMBER = {"header": False, "columns": {"text": 1, "label": 2}}


@pytest.mark.parametrize(
    ("name", "content", "config"),
    [
        ("a.csv", "\ufefftext;label\r\n" + SEMICOLONS, {}),
        ("a.csv", "sep=;\r\ntext;label\r\n" + SEMICOLONS, {}),
        ("a.csv", SEMICOLONS, BY_NUMBER),
        ("a.csv", "SEP=;\n" + SEMICOLONS, BY_NUMBER),
        ("a.csv", "text,long;label\n" + SEMICOLONS, {"delimiter": ";", "columns": {"text": "text,long"}}),
        ("a.tsv", "text;label\n" + SEMICOLONS, {"delimiter": ";"}),
        ("a.csv", "text|label\n" + SEMICOLONS.replace('";', '"|'), {}),
        ("a.csv", "text\tlabel\n" + SEMICOLONS.replace('";', '"\t'), {}),
        # Columns without a name, where a sheet was once wider, and an index in front.
        ("a.csv", "text;label;;\n" + SEMICOLONS.replace("\r\n", ";;\r\n") + ";;;\n", {}),
        ("a.csv", "text;label\n" + SEMICOLONS.replace("\r\n", ";\r\n"), {}),
        ("a.csv", ";text;label\n" + "".join(f"0;{line}\n" for line in SEMICOLONS.split("\r\n")[:-1]), {}),
        ("a.csv", '"text", "label"\n' + SEMICOLONS.replace('";', '", '), {}),
        # Line ends of every make, and none at the end.
        ("a.csv", "text;label\r" + SEMICOLONS.replace("\r\n", "\r"), {}),
        ("a.csv", ("text;label\n" + SEMICOLONS).removesuffix("\r\n"), {}),
        ("a.csv", '\n"sep=;"\r\ntext;label\r\n' + SEMICOLONS, {}),
        # The delimiter is the one with which the columns are there, however many commas a name has.
        ("a.csv", "text;label;why (a, b, c, d)\n" + SEMICOLONS.replace("\r\n", ";x\r\n"), {}),
        (
            "a.csv",
            "".join(f'"{text}; yes";0,5;{label}\n' for text, label in ROWS),
            {"header": False, "columns": {"text": 1, "label": 3}},
        ),
        ("a.csv", "text,label\n" + "".join(f"{text}; yes,{label}, ,\n" for text, label in ROWS) + " ,\n", {}),
        # Every field in quotes, as csv.QUOTE_ALL writes it.
        ("a.tsv", "text\tlabel\n" + "".join(f'"{a}"\t"{b}"\n' for a, b in SAID), {}),
    ],
)
def test_delimiters_and_empty_columns(tmp_path: Any, name: str, content: str, config: dict[str, Any]) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert texts_and_labels(all_of("classification", name, **config)) == SAID


def test_a_tsv_with_quotes_around_its_fields(tmp_path: Any) -> None:
    write(tmp_path, a__tsv=("text\tlabel\r\n" + QUOTED).encode("utf-16"), b__tsv="text\tlabel\n" + EXCEL)
    found = texts_and_labels(all_of("classification", "a.tsv"))
    assert found == sorted((f'{text} said "so",\nand\twent', label) for text, label in ROWS)
    remarks = read("classification", "a.tsv").remarks
    assert remarks["files of TSV read with quotes around their fields"] == 1
    assert remarks["files of examples in utf-16-le"] == 1
    found = texts_and_labels(all_of("classification", "b.tsv"))
    assert found == sorted((f"{text}, yes" if label == "bad" else text, label) for text, label in ROWS)


def test_quotes_that_are_text_stay(tmp_path: Any) -> None:
    rows = "".join(f'"{text}" he said\t{label}\n' for text, label in ROWS) + '"a quotation"\tgood\n'
    write(tmp_path, a__tsv="text\tlabel\n" + rows)
    assert ('"a quotation"', "good") in texts_and_labels(all_of("classification", "a.tsv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text;label;;\nx;a;;\ny, no;b;oh;\n",
            "a.csv, line 3: 4 columns, where the first row has 2 (text, label)",
        ),
        ("text,label\nwell, yes,a\n", "a.csv, line 2: 3 columns, where the first row has 2"),
        ("text,label\nx\n", "a.csv, line 2: 1 columns, where the first row has 2"),
        ("text,label\nx,a\ntext,label\ny,b\n", "a.csv, line 3: the header once more; were files joined?"),
        ("text,label,text \nx,a,y\n", "line 1: the column 'text' occurs twice"),
        ("sep=;\ntext;label\nx;a\ny\n", "a.csv, line 4: 1 columns"),
        ("text,label\nx,\nz,b\n", "a.csv, line 2: 'label' is empty"),
        ("text,label\nx,nan\n", "a.csv, line 2: 'label' holds 'nan', which libraries print"),
        ("text,label\n\u200b,a\n", "a.csv, line 2: 'text' is empty"),
        (
            "text,label\nx,1\ny,1.0\nz,2\n",
            "a.csv, line 3: the label '1.0' (ASCII) looks like '1' (ASCII) of a.csv, line 2",
        ),
        ("text,label\nx,True\ny,true\n", "a.csv, line 3: the label 'true' (ASCII) looks like 'True'"),
        (
            "text,label\nx,a\u200db\ny,ab\n",
            "looks like 'a\\u200db' (U+200D) of a.csv, line 2; write both alike",
        ),
        ("text,label\nx,a\n\0,b\n", "a.csv can't be read: binary (a NUL byte in line 3"),
        (
            b"PK\x03\x04\x14\0",
            "a.csv can't be read: it is an Excel workbook or another zip; let its name end in .xlsx",
        ),
        (b"\x1f\x8b\x08\0", "a.csv can't be read: it is compressed by gzip; let its name end in .gz"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "it is a pointer of Git LFS"),
        ("", "a.csv: no example in it"),
        ("text,label\n", "a.csv: no example in it"),
    ],
)
def test_mistakes_in_tables(tmp_path: Any, content: str | bytes, message: str) -> None:
    write(tmp_path, a__csv=content)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read("classification", "a.csv")


def test_a_delimiter_that_can_not_be_told_is_asked_for(tmp_path: Any) -> None:
    write(tmp_path, a__csv="".join(f"{text}, yes;{label}\n" for text, label in ROWS))
    with pytest.raises(
        CorpusError, match=r"line 1: the columns may be parted by ',' or ';'; set examples.deli"
    ):
        read("classification", "a.csv", **BY_NUMBER)
    assert len(all_of("classification", "a.csv", delimiter=";", **BY_NUMBER)) == len(ROWS)


def test_labels_in_columns_of_their_own(tmp_path: Any) -> None:
    rows = "".join(f"text {n},{n % 2},{int(n % 3 == 0)}\n" for n in range(12))
    write(tmp_path, a__csv="text,toxic,insult\n" + rows)
    found = {
        e["text"]: e["labels"]
        for e in all_of("multi_label", "a.csv", columns={"labels": ["toxic", "insult"]})
    }
    assert (found["text 0"], found["text 3"], found["text 4"]) == (["insult"], ["insult", "toxic"], [])
    with pytest.raises(
        CorpusError, match=r"no column 'labels' for labels.*columns of 0 and 1: name them in a list"
    ):
        read("multi_label", "a.csv")


def test_files_in_other_encodings_are_read_and_noted(tmp_path: Any) -> None:
    chinese = "text\tlabel\n" + "".join(f"这个电影很好看{n}\t{'坏好'[n % 2]}\n" for n in range(20))
    german = "text\tlabel\n" + "".join(f"Die Bücher sind schön {n}\t{'ab'[n % 2]}\n" for n in range(20))
    write(
        tmp_path,
        a__tsv=chinese.encode("gb18030"),
        b__tsv=german.encode("latin-1"),
        c__tsv=chinese.encode("utf-16"),
        d__tsv=german.encode("utf-16-be"),
    )
    noted = {"a": "gb18030", "b": "windows-1252", "c": "utf-16-le", "d": "utf-16-be"}
    for name, encoding in noted.items():
        found = read("classification", f"{name}.tsv")
        assert found.remarks[f"files of examples in {encoding}"] == 1
        assert found.labels == (["坏", "好"] if name in "ac" else ["a", "b"])
        assert found.examples["train"][0]["text"][:5] in (chinese, german)[name in "bd"]
