"""Read sitemaps (sitemaps.org): addresses of pages, with the time of their last change where it is stated."""

from __future__ import annotations

import zlib
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, XMLParser

from tasks.sources.left_out import LeftOut

MAX_BYTES = 50_000_000  # the protocol's own limit, unpacked
_GZIP = b"\x1f\x8b"


class Entry(NamedTuple):
    """A page, or another sitemap; `changed` is what the sitemap says of it, "" for nothing."""

    url: str
    changed: str
    is_sitemap: bool


def entries(content: bytes) -> list[Entry]:
    """What a sitemap lists, in its order: XML (a sitemap or an index of them) or a plain list, also in gzip.

    Raises:
        LeftOut: it is damaged, larger than `MAX_BYTES`, or declares entities.
    """
    text = _unpacked(content) if content.startswith(_GZIP) else content
    if b"\0" in text:  # the protocol asks for UTF-8; in UTF-16 nobody would see a document type below
        raise LeftOut("bad sitemap", "not UTF-8")
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = (line.strip() for line in text.decode("utf-8-sig", "replace").splitlines())
        return [Entry(line, "", False) for line in lines if line.startswith(("http://", "https://"))]
    if b"<!ENTITY" in text or b"<!DOCTYPE" in text:
        raise LeftOut("bad sitemap", "declares a document type or entities")
    parser = XMLParser()
    try:
        parser.feed(text)
        root = parser.close()
    except ParseError as error:
        raise LeftOut("bad sitemap", f"not XML: {error}") from error
    found = (_entry(child) for child in root)
    return [entry for entry in found if entry is not None]


def _entry(element: Element) -> Entry | None:
    kind = _local(element)
    values = {_local(child): (child.text or "").strip() for child in element}
    if kind not in ("url", "sitemap") or not values.get("loc"):
        return None
    return Entry(values["loc"], values.get("lastmod", ""), kind == "sitemap")


def _local(element: Element) -> str:
    """The tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _unpacked(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise LeftOut("bad sitemap", f"not gzip: {error}") from error
    if len(text) > MAX_BYTES:
        raise LeftOut("bad sitemap", f"more than {MAX_BYTES:,} bytes")
    return text
