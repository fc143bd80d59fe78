"""Web archives: pages (WARC responses) and their extracted text (WET conversions), read with warcio.

The format is ISO 28500, https://iipc.github.io/warc-specifications/.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from io import BytesIO
from typing import Any

import brotli
from warcio.archiveiterator import ArchiveIterator
from warcio.bufferedreaders import ChunkedDataReader
from warcio.exceptions import ArchiveLoadFailed

from tasks.sources.containers import Entry
from tasks.sources.decoding import decode
from tasks.sources.formats.html import extract
from tasks.sources.formats.options import ReadingOptions
from tasks.sources.formats.record import OnBad, Record, too_large
from tasks.sources.left_out import LeftOut

_WANTED = ("response", "resource", "conversion")
_PAGES = ("text/html", "application/xhtml+xml")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def read(entry: Entry, options: ReadingOptions, on_bad: OnBad) -> Iterator[Record]:
    """A record per page or text; its position is its number among those, from 1.

    Raises:
        LeftOut: the file ends in the middle of a record, or is no WARC from here on.
    """
    number = 0
    try:
        for warc in ArchiveIterator(entry.stream):
            if warc.rec_type not in _WANTED:
                continue
            number += 1
            try:
                yield _record(str(number), warc, options)
            except LeftOut as problem:
                on_bad(str(number), problem)
    except ArchiveLoadFailed as error:
        raise LeftOut("damaged", "no WARC record from here on") from error


def _record(position: str, warc: Any, options: ReadingOptions) -> Record:
    headers = warc.rec_headers
    kind, charset = _content_type(headers.get_header("Content-Type"))
    if warc.http_headers:
        if warc.http_headers.get_statuscode() != "200":
            raise LeftOut("HTTP status", f"{warc.http_headers.get_statuscode()}, not 200")
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
        text, encoding = decode(raw, declared=charset)
        return Record(position, text, meta, raw, encoding, changed=changed)
    raise LeftOut("unsupported type", f"{kind or 'no content type'}, neither HTML nor plain text")


def _body(warc: Any, options: ReadingOptions) -> bytes:
    """What was sent, without its transfer and content encodings; never more than the limit in memory."""
    limit = options.max_document_bytes
    stated = warc.raw_stream.limit
    if stated > limit:
        raise too_large(options)
    sent = _all_of(warc.raw_stream)
    if len(sent) < stated:
        raise LeftOut("damaged", "the file ends in the middle of this record")
    http = warc.http_headers
    if http and (http.get_header("Transfer-Encoding") or "").lower() == "chunked":
        sent = _all_of(ChunkedDataReader(BytesIO(sent), decomp_type=None))
    encoding = (http.get_header("Content-Encoding") or "").lower() if http else ""
    body = _decompressed(sent, encoding, limit)
    if len(body) > limit:
        raise too_large(options)
    return body


def _all_of(stream: Any) -> bytes:
    return b"".join(iter(lambda: stream.read(1 << 16), b""))


def _decompressed(sent: bytes, encoding: str, limit: int) -> bytes:
    """At most a little more than `limit` bytes."""
    try:
        if encoding in ("gzip", "x-gzip", "deflate"):
            return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(sent, limit + 1)
        if encoding == "br":
            return bytes(brotli.Decompressor().process(sent, output_buffer_limit=limit + 1))
    except (zlib.error, brotli.error) as error:
        raise LeftOut("damaged", f"not in {encoding}: {error}") from error
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
