"""One reader for both: lenient it skips and goes on, strict it ends with the place of the first problem."""

import io
import json
from typing import Any

import pytest

from corpus.reading.containers import Entry
from corpus.reading.delimited import Dialect
from corpus.reading.formats import row_formats
from corpus.reading.rows import Row, RowOptions
from corpus.reading.skipped import Skipped


def read(name: str, content: bytes, *, strict: bool, **told: Any) -> tuple[list[Row], dict[str, Skipped]]:
    """The rows, and what was skipped by its position."""
    skipped: dict[str, Skipped] = {}
    entry = Entry("a", "a", io.BufferedReader(io.BytesIO(content), 1 << 17), True)
    options = RowOptions({}, 1_000_000, name, **told)
    found = row_formats()[name].rows(entry, options, None if strict else skipped.__setitem__)
    return list(found), skipped


@pytest.mark.parametrize(
    ("name", "content", "line", "reason", "detail"),
    [
        ("csv", 'a,b\n"x\ny",1\nz\nw,2\n', 4, "ragged row", "1 columns, where the first row has 2 (a, b); "),
        ("csv", "a,b\nx,1\na,b\nw,2\n", 3, "not a row", "the header once more"),
        ("tsv", "a\tb\nx\t1\n\nz\nw\t2\n", 4, "ragged row", "1 columns"),
        ("json", '[{"a": 1},\n\n[1], {"a": 2}]', 3, "no object", "a JSON list, not an object"),
        ("jsonl", '{"a": 1}\n\n[1 2]\n{"a": 2}\n', 3, "not JSON", ""),
    ],
)
def test_a_bad_row_is_skipped_or_an_error_with_its_line(
    name: str, content: str, line: int, reason: str, detail: str
) -> None:
    rows, skipped = read(name, content.encode(), strict=False)
    assert len(rows) == 2
    assert [problem.reason for problem in skipped.values()] == [reason]
    with pytest.raises(Skipped) as raised:
        read(name, content.encode(), strict=True)
    assert raised.value.line == line
    assert raised.value.detail.startswith(detail)


def test_the_place_in_json_is_that_of_the_file() -> None:
    """Also where the value begins far behind what is read at once."""
    long = json.dumps({"a": "x" * 300_000})
    with pytest.raises(Skipped) as raised:
        read("json", f'[{long},\n{long}, {{"b": nothing}}]'.encode(), strict=True)
    assert raised.value.line == 2
    assert raised.value.detail == f"not JSON (Expecting value, column {len(long) + 9})"
    rows, _ = read("json", f"{long}\n\n{long} {long}\n".encode(), strict=True)
    assert [row.line for row in rows] == [1, 3, 3]


def test_a_key_that_occurs_twice_is_refused_where_nothing_may_be_lost() -> None:
    content = b'{"a": 1, "a": 2}\n'
    assert read("json", content, strict=False)[0][0].values == {"a": 2}
    with pytest.raises(Skipped, match="the key 'a' occurs twice"):
        read("jsonl", content, strict=True)


@pytest.mark.parametrize(
    ("name", "content", "dialects"),
    [
        ("csv", "a;b\n1;2\n", [Dialect(";", True, True, "utf-8")]),
        ("tsv", "a\tb\n1\t2\n", [Dialect("\t", False, True, "utf-8")]),
        (
            "tsv",
            'a\tb\n"He said ""no"""\t2\n',
            [Dialect("\t", False, True, "utf-8"), Dialect("\t", True, True, "utf-8")],
        ),
        ("csv", "a\tb\n这是一个测试，看看中文怎么样\t2\n", [Dialect("\t", False, True, "gb18030")]),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_how_a_table_is_written_is_said(
    name: str, content: str, dialects: list[Dialect], strict: bool
) -> None:
    heard: list[Dialect] = []
    read(name, content.encode(dialects[0].encoding), strict=strict, on_dialect=heard.append)
    assert heard == dialects


def test_a_row_without_anything_in_it_is_a_document_and_no_example() -> None:
    rows, _ = read("csv", b"a,b\n1,2\n,\n3,4\n", strict=False)
    assert [row.position for row in rows] == ["1", "2", "3"]
    assert len(read("csv", b"a,b\n1,2\n,\n3,4\n", strict=True)[0]) == 2


def test_a_quote_in_a_cell_says_that_quotes_are_text() -> None:
    content = b'a\tb\n5" pipe\t1\n"one ""two"""\t2\n'
    for strict in (True, False):
        rows, _ = read("tsv", content, strict=strict)
        assert [row.values["a"] for row in rows] == ['5" pipe', '"one ""two"""']
