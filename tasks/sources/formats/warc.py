"""Web archives: pages (WARC responses) and their extracted text (WET conversions), read with FastWARC.

The format is ISO 28500, https://iipc.github.io/warc-specifications/.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from tasks.sources.containers import Entry
from tasks.sources.decoding import decode
from tasks.sources.formats.html import extract
from tasks.sources.formats.options import ReadingOptions
from tasks.sources.formats.record import OnBad, Record, too_large
from tasks.sources.left_out import UNREADABLE, LeftOut, explained

_WANTED = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
_PAGES = ("text/html", "application/xhtml+xml")


def read(entry: Entry, options: ReadingOptions, on_bad: OnBad) -> Iterator[Record]:
    """A record per page or text; its position is its number among those, from 1.

    Raises:
        LeftOut: the file ends in the middle of a record, or is no WARC.
    """
    number = 0
    for number, warc in enumerate(_records(entry), start=1):
        try:
            yield _record(str(number), warc, options)
        except LeftOut as problem:
            if problem.reason == "damaged":
                raise
            on_bad(str(number), problem)
        except UNREADABLE as error:
            on_bad(str(number), explained(error))
    if not number and entry.stream.peek(1):
        raise LeftOut("damaged", "no WARC records in it")


def _records(entry: Entry) -> Iterator[WarcRecord]:
    # The container is open already; looking for a compression in it would be looking for a second one.
    return iter(
        ArchiveIterator(
            entry.stream, record_types=_WANTED, parse_http=False, auto_decode="all", stream_detect=False
        )
    )


def _record(position: str, warc: WarcRecord, options: ReadingOptions) -> Record:
    stated = warc.content_length
    if stated > options.max_document_bytes:
        raise too_large(options)
    warc.freeze()
    if warc.content_length < stated:
        raise LeftOut("damaged", "the file ends in the middle of this record")
    is_http = (warc.headers.get("Content-Type") or "").startswith("application/http")
    kind, charset = (warc.headers.get("Content-Type") or "").partition(";")[0], None
    if is_http:
        warc.parse_http(auto_decode="all")
        if warc.http_headers is None or warc.http_headers.status_code != 200:
            status = warc.http_headers.status_code if warc.http_headers else "none"
            raise LeftOut("HTTP status", f"{status}, not 200")
        kind, charset = warc.http_content_type or "", warc.http_charset
    raw = warc.reader.read(options.max_document_bytes + 1)
    if len(raw) > options.max_document_bytes:
        raise too_large(options)
    url = warc.headers.get("WARC-Target-URI") or ""
    meta = {"url": url} if url else {}
    if kind in _PAGES:
        page = extract(raw, url, charset)
        meta |= {"title": page.title} if page.title else {}
        return Record(position, page.text, meta, raw, page.encoding, page.extractor, warc.record_date)
    if kind == "text/plain":
        text, encoding = decode(raw, declared=charset)
        return Record(position, text, meta, raw, encoding, changed=warc.record_date)
    raise LeftOut("unsupported type", f"{kind or 'no content type'}, neither HTML nor plain text")
