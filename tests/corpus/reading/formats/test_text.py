"""Plain text in wholes, lines, paragraphs and parts with headings."""

import io

import pytest

from corpus.reading.containers import Entry
from corpus.reading.formats.text import read
from corpus.reading.options import ReadingOptions
from corpus.reading.skipped import Skipped


def parts(text: str, **options: object) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """(position, text) of the records, and the reasons of what was left out by position."""
    bad: dict[str, str] = {}
    entry = Entry("a.txt", "a.txt", io.BufferedReader(io.BytesIO(text.encode())), True)
    found = read(entry, ReadingOptions.model_validate(options), lambda at, why: bad.update({at: why.reason}))
    return [(record.position, record.text) for record in found], bad


def test_a_whole_file_is_one_document() -> None:
    assert parts("a\n\nb\n") == ([("", "a\n\nb\n")], {})
    with pytest.raises(Skipped, match="too large"):
        parts("x" * 100, max_document_bytes=99)


def test_lines() -> None:
    assert parts("a\n\nb\r\n", document="line") == ([("1", "a"), ("3", "b")], {})


def test_paragraphs() -> None:
    assert parts("\na\nb\n\n \nc", document="paragraph") == ([("2", "a\nb"), ("6", "c")], {})


def test_parts_with_headings() -> None:
    text = "before\n = One = \n\n = = Section = = \n\ntext\n\n = Two = \nmore\n"
    found, _ = parts(text, document="heading")
    assert [(position, text.split("\n")[0]) for position, text in found] == [
        ("1", "before"),
        ("2", " = One = "),
        ("8", " = Two = "),
    ]
    assert [position for position, _ in parts("# A\nx\n## B\n# C\n", document="heading")[0]] == ["1", "4"]


def test_a_part_that_is_too_large_is_left_out_and_the_next_one_read() -> None:
    text = "small\n\n" + "line\n" * 50 + "\nnext\n" + "x" * 200 + "\n"
    assert parts(text, document="paragraph", max_document_bytes=100) == (
        [("1", "small"), ("54", "next")],
        {"3": "too large", "55": "too large"},
    )
