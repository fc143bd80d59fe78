"""Read sitemaps (sitemaps.org): addresses of pages, with the time of their last change where it is stated.

They are read as they are found: with an empty line or a byte-order mark first, a bare `&`, in gzip that
nobody mentions, in a wrong namespace, with relative addresses. What is no sitemap is said to be none.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin
from xml.parsers import expat

from corpus.reading.content_encoding import decoded_body
from corpus.reading.decoding import decode
from corpus.reading.skipped import Skipped

MAX_BYTES = 50_000_000  # the protocol's own limit, unpacked
_KINDS = {"urlset": "url", "sitemapindex": "sitemap"}
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{2,40})""")
_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
_BEGINS = re.compile(r"<((?:[\w.-]+:)?(?:urlset|sitemapindex))\b", re.IGNORECASE)
_CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]")
_BARE_AMPERSAND = re.compile(r"&(?!#\d{1,7};|#x[0-9a-fA-F]{1,6};|(?:amp|lt|gt|quot|apos);)")


class SitemapEntry(NamedTuple):
    """A page, or another sitemap; `changed` is what the sitemap says of it, "" for nothing."""

    url: str
    changed: str
    is_sitemap: bool


def entries(content: bytes, url: str = "") -> list[SitemapEntry]:
    """What a sitemap lists, in its order: XML (a sitemap or an index of them) or a plain list, also in gzip.

    Args:
        url: where it is from; relative addresses begin there.

    Raises:
        Skipped: it is damaged, larger than `MAX_BYTES`, declares entities, or is no sitemap.
    """
    try:
        body = decoded_body(content, "", MAX_BYTES)
        declared = _DECLARED.search(body)
        text = decode(body, [declared[1].decode("ascii")] if declared else ()).text
    except Skipped as problem:
        raise Skipped("bad sitemap", f"{problem.reason}: {problem.detail}") from problem
    text = text.strip("\ufeff \t\r\n")
    found = _in_xml(text) if text.startswith("<") or _BEGINS.search(text) else _in_list(text)
    return [entry._replace(url=_absolute(url, entry.url)) for entry in found]


def _in_list(text: str) -> list[SitemapEntry]:
    """An address on each line."""
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    if lines and not any(line.startswith(("http://", "https://")) for line in lines):
        raise Skipped("bad sitemap", f"neither XML nor a list of addresses: {lines[0][:100]!r}")
    return [SitemapEntry(line, "", False) for line in lines if line]


def _in_xml(text: str) -> list[SitemapEntry]:
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise Skipped("bad sitemap", "declares a document type or entities")
    try:
        return _Sitemap(text).entries
    except (expat.ExpatError, Skipped):
        # Warnings before it, the time that it took behind it, control characters in captions, and a bare &,
        # the usual fault: addresses are put in as they are.
        parts = _CDATA.split(_CONTROL.sub("", _alone(text)))
        parts[::2] = [_BARE_AMPERSAND.sub("&amp;", part) for part in parts[::2]]
    try:
        return _Sitemap("".join(parts)).entries
    except expat.ExpatError as error:
        raise Skipped("bad sitemap", f"not XML: {error}") from error


def _alone(text: str) -> str:
    """From where the first element of a sitemap begins to where the last one of its name ends."""
    begins = _BEGINS.search(text)
    if not begins:
        return text
    ends = [match.end() for match in re.finditer(rf"</{re.escape(begins[1])}\s*>", text)]
    return text[begins.start() : ends[-1]] if ends else text[begins.start() :]


class _Sitemap:
    """Takes the XML apart without namespaces, which many sitemaps leave out or get wrong."""

    def __init__(self, text: str) -> None:
        self.entries: list[SitemapEntry] = []
        self._path: list[str] = []
        self._values: dict[str, str] = {}
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(text.encode(), True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path and _local(name) not in _KINDS:
            raise Skipped("bad sitemap", f"<{name}>, neither <urlset> nor <sitemapindex>")
        self._path.append(name)
        if len(self._path) == 2:
            self._values = {}

    def _characters(self, text: str) -> None:
        if len(self._path) == 3:
            # An <image:loc> is no <loc>: extensions have a prefix of their own.
            prefix, _, name = self._path[2].lower().rpartition(":")
            if prefix == self._path[1].lower().rpartition(":")[0]:
                self._values[name] = self._values.get(name, "") + text

    def _end(self, name: str) -> None:
        kind = _local(name)
        if len(self._path) == 2 and kind in _KINDS.values() and (loc := self._values.get("loc", "").strip()):
            changed = self._values.get("lastmod", "").strip()
            self.entries.append(SitemapEntry(loc, changed, kind == "sitemap"))
        self._path.pop()


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower()


def _absolute(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:  # brackets that are no IPv6 address
        return url
