"""Web archives: pages (WARC responses) and their extracted text (WET conversions), read with warcio.

The format is ISO 28500, https://iipc.github.io/warc-specifications/.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from types import SimpleNamespace
from typing import Any

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from corpus.reading.containers import Entry
from corpus.reading.content_encoding import decoded_body, without_chunks
from corpus.reading.decoding import decode
from corpus.reading.formats.html import extract
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped

SUFFIXES = {"warc": (".warc", ".wet")}
META = ("title", "url")

_WANTED = ("response", "resource", "conversion", "continuation")
_PAGES = ("text/html", "application/xhtml+xml")


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per page or text; its position is its number among those, from 1.

    Raises:
        Skipped: the file ends in the middle of a record, or is no WARC from here on.
    """
    number = 0
    try:
        # Takes what there is, rather than losing it when what follows is damaged.
        archive = ArchiveIterator(SimpleNamespace(read=entry.stream.read1))
        for warc in archive:
            if warc.rec_type not in _WANTED:
                _sent(warc)
                continue
            number += 1
            faults = archive.err_count
            try:
                record = _record(str(number), warc, options)
            except Skipped as problem:
                on_skipped(str(number), problem)
                continue
            end = _problem_behind(archive)
            if archive.err_count > faults:
                on_skipped(str(number), Skipped("damaged", "it goes on behind its Content-Length"))
            else:
                yield record
            if end:
                raise end
    except (ArchiveLoadFailed, AttributeError, TypeError, ValueError) as error:
        # warcio says no more of a header that is cut off.
        raise Skipped("damaged", "no WARC record from here on") from error


def _problem_behind(archive: ArchiveIterator) -> Skipped | None:
    """What is wrong with the file behind the record at hand."""
    try:
        archive.read_to_end()
    except Skipped as problem:
        return problem
    return None


def _record(position: str, warc: Any, options: ReadingOptions) -> Record:
    headers = warc.rec_headers
    if reason := headers.get_header("WARC-Truncated"):
        raise Skipped("truncated", f"the crawler kept only its beginning ({reason})")
    if headers.get_header("WARC-Segment-Number"):
        raise Skipped("unsupported type", "a part of a record that is divided into segments")
    kind, charset = _content_type(headers.get_header("Content-Type"))
    if warc.http_headers:
        if warc.http_headers.get_statuscode() != "200":
            raise Skipped("HTTP status", f"{warc.http_headers.get_statuscode()}, not 200")
        kind, charset = _content_type(warc.http_headers.get_header("Content-Type"))
    raw = _body(warc, options)
    url = headers.get_header("WARC-Target-URI") or ""
    changed = _time(headers.get_header("WARC-Date"))
    meta = {"url": url} if url else {}
    if kind in _PAGES:
        page = extract(raw, url, charset)
        meta |= {"title": page.title} if page.title else {}
        return Record(position, page.text, meta, raw, page.encoding, page.extractor, changed)
    if kind == "text/plain":
        text, encoding = decode(raw, declared=[charset] if charset else ())
        return Record(position, text, meta, raw, encoding, changed=changed)
    raise Skipped("unsupported type", f"{kind or 'no content type'}, neither HTML nor plain text")


def _body(warc: Any, options: ReadingOptions) -> bytes:
    """What was sent, without its transfer and content encodings; never more than the limit in memory."""
    limit = options.max_document_bytes
    stated = warc.raw_stream.limit
    if stated > limit:
        raise too_large(options.max_document_bytes)
    sent = _sent(warc)
    if not warc.http_headers:
        return sent
    header = {name.lower(): value for name, value in warc.http_headers.headers}
    encoding, length = header.get("content-encoding", ""), header.get("content-length", "").strip()
    if "chunked" in header.get("transfer-encoding", "").lower():
        sent = without_chunks(sent)
    elif not encoding and length.isdecimal() and len(sent) < int(length):
        raise Skipped("damaged", f"{len(sent)} bytes of {length}; the server or the crawler stopped early")
    return decoded_body(sent, encoding, limit)


def _sent(warc: Any) -> bytes:
    """The record's block.

    Raises:
        Skipped: the file ends in the middle of it.
    """
    sent = b"".join(iter(lambda: warc.raw_stream.read(1 << 16), b""))
    if getattr(warc.raw_stream, "limit", 0) or warc.rec_headers.get_header("Content-Length") is None:
        raise Skipped("damaged", "the file ends in the middle of a record")
    return sent


def _content_type(header: str | None) -> tuple[str, str | None]:
    """The media type and the charset of a Content-Type header."""
    message = Message()
    message["Content-Type"] = header or "application/octet-stream"
    return message.get_content_type(), message.get_content_charset()


def _time(stated: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(stated or "")
    except ValueError:
        return None
