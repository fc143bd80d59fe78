"""CSV and TSV, with and without a header."""

import io

from tasks.sources.containers import Entry
from tasks.sources.formats.options import ReadingOptions
from tasks.sources.formats.record import Record
from tasks.sources.formats.tables import read


def rows(name: str, content: bytes, **options: object) -> tuple[list[Record], dict[str, str]]:
    bad: dict[str, str] = {}
    entry = Entry(name, name, io.BufferedReader(io.BytesIO(content)), True)
    found = read(entry, ReadingOptions.model_validate(options), lambda at, why: bad.update({at: why.reason}))
    return list(found), bad


def test_ragged_rows_are_left_out() -> None:
    found, bad = rows("a.csv", b"id,text\n1,a\n2,b,c\n\n3\n4,d\n")
    assert [(record.position, record.text) for record in found] == [("1", "a"), ("4", "d")]
    assert bad == {"2": "ragged row", "3": "ragged row"}


def test_without_a_header_columns_have_numbers() -> None:
    found, _ = rows("a.tsv", b'a "quoted\t1\nb\t0\n', header=False, text_field="1", meta_fields=("2",))
    assert [(record.text, dict(record.meta)) for record in found] == [
        ('a "quoted', {"2": "1"}),
        ("b", {"2": "0"}),
    ]


def test_quoted_newlines_marks_and_encodings() -> None:
    content = "\ufefftext,n\n".encode() + b'"one\n""two""",1\r\n' + "这是一个测试看看,2\n".encode("gb18030")
    first, second = rows("a.csv", content)[0]
    assert (first.text, first.raw) == ('one\n"two"', b'"one\n""two""",1\r\n')
    assert (second.text, second.encoding) == ("这是一个测试看看", "gb18030")


def test_quotes_that_are_never_closed_are_bounded() -> None:
    content = b'text\ngood\n"never closed\n' + b"x" * 90 + b"\n" + b"y\n" * 20_000
    found, bad = rows("a.csv", content, max_document_bytes=1000)
    assert found[0].text == "good"
    assert "too large" in bad.values() or "not a row" in bad.values()
    assert all(len(record.text) < 1000 for record in found)


def test_a_bad_line_is_left_out() -> None:
    found, bad = rows("a.csv", b"text\n\0\0\nb\n" + b"x" * 500 + b"\nc\n", max_document_bytes=100)
    assert [record.text for record in found] == ["b", "c"]
    assert bad == {"line 2": "binary", "line 4": "too large"}
