"""JSON lines, arrays and streams of objects."""

import io
import json

import pytest

from corpus.reading.containers import Entry
from corpus.reading.formats import formats
from corpus.reading.options import ReadingOptions
from corpus.reading.skipped import Skipped


def records(format_name: str, content: bytes, **options: object) -> tuple[list[str], dict[str, str]]:
    """The texts, and the reasons of what was left out by position; "end" for what ended the file."""
    bad: dict[str, str] = {}
    entry = Entry("a", "a", io.BufferedReader(io.BytesIO(content), 1 << 17), True)
    read = formats()[format_name].read
    found = []
    try:
        for record in read(
            entry, ReadingOptions.model_validate(options), lambda at, why: bad.update({at: why.reason})
        ):
            found.append(record.text)
    except Skipped as end:
        bad["end"] = end.reason
    return found, bad


def test_a_bad_line_is_left_out_and_the_next_one_read() -> None:
    lines = [b'{"text": "a"}', b"{broken", b'{"other": 1}', b"[1]", b'{"text": 5}', b'{"text": "\0"}', b"7"]
    lines += [json.dumps({"text": "x" * 5000}).encode(), b"[" * 5000, b"", b'{"text": "b"}']
    found, bad = records("jsonl", b"\n".join(lines), max_document_bytes=5000)
    assert found == ["a", "b"]
    assert bad == {
        **{"2": "not JSON", "3": "no text field", "4": "no object", "5": "no text field", "6": "binary"},
        **{"7": "no object", "8": "too large", "9": "not JSON"},
    }


def test_nested_fields_and_lists_of_strings() -> None:
    content = json.dumps({"doc": {"parts": ["one", "two"]}, "a.b": "dotted"}).encode()
    assert records("jsonl", content, text_field="doc.parts")[0] == ["one\ntwo"]
    assert records("jsonl", content, text_field="a.b")[0] == ["dotted"]


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a"}, {"text": "二"}]',
        ' \n[\n{"text": "a"} , {"text": "二"}\n]\n',
        '{"text": "a"}{"text": "二"}',
        '{"text": "a"}\n{"text": "二"}\n',
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_arrays_and_streams_of_objects(content: str, codec: str) -> None:
    content = content.replace("二", "这是一个测试，看看中文怎么样")
    assert records("json", content.encode(codec)) == (["a", "这是一个测试，看看中文怎么样"], {})


def test_one_object() -> None:
    assert records("json", b'{"text": ["a", "b"]}') == (["a\nb"], {})
    assert records("json", b"") == ([], {})


def test_an_array_is_read_in_pieces() -> None:
    content = json.dumps([{"text": f"第{number}篇" * 50} for number in range(3000)], ensure_ascii=False)
    found, bad = records("json", content.encode(), max_document_bytes=1000)
    assert len(found) == 3000
    assert found[-1].startswith("第2999篇")
    assert not bad


@pytest.mark.parametrize(
    ("content", "found", "bad"),
    [
        ('[{"text": "a"}, [1], 7, {"text": "b"}]', ["a", "b"], {"2": "no object", "3": "no object"}),
        ('[{"text": "a"}, {"text": "b', ["a"], {"end": "damaged"}),
        ('[{"text": "a"}', ["a"], {"end": "damaged"}),
        ('[{"text": "a"}, nonsense, ' + " " * 100 + '{"text": "b"}]', ["a"], {"end": "not JSON"}),
        ('[{"text": "a"}, {"text": "' + "x" * 1_000_000 + '"}]', ["a"], {"end": "too large"}),
        ("[" * 100_000, [], {"end": "not JSON"}),
        ('[{"text": "a\0"}]', [], {"end": "binary"}),
    ],
)
def test_what_ends_a_json_file(content: str, found: list[str], bad: dict[str, str]) -> None:
    assert records("json", content.encode(), max_document_bytes=200_000) == (found, bad)
