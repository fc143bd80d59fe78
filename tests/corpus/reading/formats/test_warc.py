"""Web archives, written with warcio."""

import gzip
import io

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from corpus.reading.containers import Entry, entries
from corpus.reading.formats.warc import read
from corpus.reading.options import ReadingOptions
from corpus.reading.record import Record
from corpus.reading.skipped import Skipped

TEXT = "A page with a text that is long enough to be taken for the main text of it, and not for noise. "
PAGE = f"<html><head><title>T</title></head><body><p>{TEXT * 4}</p></body></html>".encode()


def records(content: bytes, name: str = "a.warc.gz") -> tuple[list[Record], dict[str, str]]:
    bad: dict[str, str] = {}
    found: list[Record] = []
    (entry,) = list(_opened(name, content))
    try:
        for record in read(
            entry, ReadingOptions(max_document_bytes=100_000), lambda at, why: bad.update({at: why.reason})
        ):
            found.append(record)
    except Skipped as end:
        bad["end"] = end.reason
    return found, bad


def _opened(name: str, content: bytes) -> list[Entry]:
    return list(entries(name, io.BytesIO(content), len(content), 10**9, lambda *_: None))


def archive(*responses: tuple[bytes, dict[str, str], str], compressed: bool = True) -> bytes:
    """A WARC with these responses (body, headers, status)."""
    buffer = io.BytesIO()
    writer = WARCWriter(buffer, gzip=compressed)
    writer.write_record(writer.create_warcinfo_record("a.warc", {"software": "test"}))
    for number, (body, headers, status) in enumerate(responses, start=1):
        http = StatusAndHeaders(status, list(headers.items()), protocol="HTTP/1.1")
        url = f"http://example.org/{number}"
        writer.write_record(
            writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=http)
        )
    return buffer.getvalue()


HTML = {"Content-Type": "text/html"}


def test_pages_of_a_warc() -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    chinese = PAGE.replace(
        TEXT.encode(), ("这是一个足够长的网页正文，用来测试编码的识别。" * 3).encode("gb18030")
    )
    found, bad = records(
        archive(
            (PAGE, HTML, "200 OK"),
            (gzip.compress(PAGE), {**HTML, "Content-Encoding": "gzip"}, "200 OK"),
            (chunked, {**HTML, "Transfer-Encoding": "chunked"}, "200 OK"),
            (chinese, {"Content-Type": "text/html; charset=gb2312"}, "200 OK"),
            ("Größe".encode("latin-1"), {"Content-Type": "text/plain; charset=iso-8859-1"}, "200 OK"),
            (PAGE, HTML, "404 Not Found"),
            (b"PNG", {"Content-Type": "image/png"}, "200 OK"),
            (gzip.compress(bytes(50_000_000)), {**HTML, "Content-Encoding": "gzip"}, "200 OK"),
            (PAGE + b"x" * 100_000, HTML, "200 OK"),
        )
    )
    assert [record.position for record in found] == ["1", "2", "3", "4", "5"]
    assert [record.encoding for record in found[3:]] == ["gb18030", "windows-1252"]
    assert found[0].text == found[1].text == found[2].text == (TEXT * 4).strip()
    assert found[0].meta == {"url": "http://example.org/1", "title": "T"}
    assert found[0].changed is not None
    assert bad == {"6": "HTTP status", "7": "unsupported type", "8": "too large", "9": "too large"}


def test_texts_of_a_wet_file() -> None:
    buffer = io.BytesIO()
    writer = WARCWriter(buffer, gzip=True)
    writer.write_record(
        writer.create_warc_record(
            "http://example.org/",
            "conversion",
            payload=io.BytesIO("茶".encode()),
            warc_content_type="text/plain",
        )
    )
    (record,), bad = records(buffer.getvalue(), "a.warc.wet.gz")
    assert (record.text, record.meta, bad) == ("茶", {"url": "http://example.org/"}, {})


def test_a_truncated_warc_keeps_what_came_before() -> None:
    content = archive((PAGE, HTML, "200 OK"), (PAGE, HTML, "200 OK"), compressed=False)
    found, bad = records(content[:-200], "a.warc")
    assert (len(found), bad) == (1, {"2": "damaged"})
    found, bad = records(archive((PAGE, HTML, "200 OK"), (PAGE, HTML, "200 OK"))[:-30])
    assert (len(found), bad["end"]) == (1, "damaged")


def test_what_a_crawler_cut_off_is_left_out() -> None:
    chunked = {**HTML, "Transfer-Encoding": "chunked"}
    found, bad = records(
        archive(
            (PAGE, {**HTML, "Content-Encoding": "gzip"}, "200 OK"),
            (gzip.compress(PAGE), HTML, "200 OK"),
            (PAGE, {**HTML, "Content-Length": str(len(PAGE) + 1)}, "200 OK"),
            (gzip.compress(PAGE)[:-9], {**HTML, "Content-Encoding": "gzip"}, "200 OK"),
            (b"%x\r\n%b" % (len(PAGE), PAGE[:-9]), chunked, "200 OK"),
            (PAGE, chunked, "200 OK"),
        )
    )
    assert [record.position for record in found] == ["1", "2", "6"]
    assert bad == {"3": "damaged", "4": "damaged", "5": "damaged"}


def test_a_record_that_says_it_is_a_part_is_left_out() -> None:
    whole = archive((PAGE, HTML, "200 OK"), compressed=False)
    for header, reason in ((b"Truncated: length", "truncated"), (b"Segment-Number: 1", "unsupported type")):
        part = whole.replace(b"WARC-Target", b"WARC-%b\r\nWARC-Target" % header)
        assert records(part, "a.warc") == ([], {"1": reason})
    start = whole.rindex(b"Content-Length: ")
    shorter = whole[:start] + b"Content-Length: 99" + whole[whole.index(b"\r\n", start) :]
    assert records(shorter, "a.warc") == ([], {"1": "damaged"})
