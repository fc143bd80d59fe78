"""CSV and TSV, with and without a header."""

import io

import pytest

from corpus.errors import SourceError
from corpus.reading.containers import Entry
from corpus.reading.formats.csv import read
from corpus.reading.options import ReadingOptions
from corpus.reading.record import Record


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


SAID = 'He said "stop", and\nwent.'


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_quoted_tsv_gives_its_rows(codec: str, line_end: str) -> None:
    """As pandas and Excel write it; also when the first quote comes late."""
    plain = [f"row {number}\ta" for number in range(3)]
    table = line_end.join(["text\ttopic", *plain, '"He said ""stop"", and\nwent."\tb', "last\tc", ""])
    found, bad = rows("a.tsv", table.encode(codec), meta_fields=("topic",))
    assert [record.text for record in found] == ["row 0", "row 1", "row 2", SAID, "last"]
    assert (found[3].meta, bad) == ({"topic": "b"}, {})


@pytest.mark.parametrize(
    ("table", "texts"),
    [
        ('text\tn\n"a, b"\t1\nc\t2\n', ["a, b", "c"]),  # Excel quotes what has a comma
        ('"text"\t"n"\n"a"\t1\n"b"\t2\n', ["a", "b"]),
        ('text\tn\n"a\tb"\t1\nc\t2\n', ["a\tb", "c"]),
        # Quotation marks of the text.
        ('text\tn\na\t0\n"Great film ."\t1\nso so\t0\n', ["a", '"Great film ."', "so so"]),
        ('text\tn\n"So , " he said\t1\nb\t2\n', ['"So , " he said', "b"]),
        ('text\tn\n" I see .\t1\nyou do "\t0\n', ['" I see .', 'you do "']),
        ('text\tn\na, b\t1\n"c, d"\t2\n', ["a, b", '"c, d"']),
    ],
)
def test_quotes_in_tsv_are_told_from_those_around_cells(table: str, texts: list[str]) -> None:
    found, bad = rows("a.tsv", table.encode())
    assert ([record.text for record in found], bad) == (texts, {})


@pytest.mark.parametrize(
    "table",
    [
        "id;text\n1;a, b\n2;c\n",
        "sep=;\nid;text\n1;a, b\n2;c\n",
        'sep=,\r\nid,text\r\n1,"a, b"\r\n2,c\r\n',
        "id\ttext\n1\ta, b\n2\tc\n",
        "id|text\n1|a, b\n2|c\n",
        'id,text,,\n1,"a, b",,\n2,c,,\n,,,\n',
        'id,id,text\n1,1,"a, b"\n2,2,c\n',
    ],
)
@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_tables_as_spreadsheets_write_them(table: str, codec: str) -> None:
    found, bad = rows("a.csv", table.encode(codec))
    assert [record.text for record in found if record.text] == ["a, b", "c"]
    assert bad == {}


def test_a_separator_without_a_header() -> None:
    assert rows("a.csv", b"1;a, b\n2;c\n", header=False, text_field="2")[0][0].text == "a, b"
    assert rows("a.csv", b"a\nb, c\n", header=False, text_field="1")[1] == {"2": "ragged row"}


def test_a_column_whose_name_occurs_twice_is_refused() -> None:
    with pytest.raises(SourceError, match="2 columns are called 'text'; rename"):
        rows("a.csv", b"text,text\na,b\n")


def test_a_quote_that_is_never_closed_is_entered() -> None:
    found, bad = rows("a.csv", b'id,text\n1,a\n2,"b\n3,c\n4,d\n')
    assert [record.text for record in found] == ["a"]
    assert bad == {"2": "not a row"}


def test_a_separator_that_can_not_be_told_is_asked_for() -> None:
    content = b"well, one;1\nyes, two;0\n"
    with pytest.raises(SourceError, match=r"a\.csv: the columns may be parted by ',' or ';'"):
        rows("a.csv", content, header=False, text_field="1")
    found, _ = rows("a.csv", b"sep=;\n" + content, header=False, text_field="1")
    assert [record.text for record in found] == ["well, one", "yes, two"]
    found, _ = rows("a.tsv", content.replace(b";", b"\t"), header=False, text_field="1")
    assert [record.text for record in found] == ["well, one", "yes, two"]
