"""Articles of a Wikipedia dump: the `pages-articles` XML of MediaWiki, as a stream.

The schema is https://www.mediawiki.org/xml/export-0.11.xsd.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from datetime import datetime
from xml.parsers import expat

from corpus.reading.containers import Entry
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped
from corpus.reading.wiki_markup import plain_text

SUFFIXES = {"mediawiki": (".xml",)}
META = ("title",)

EXTRACTOR = "wiki_markup 2"
_BLOCK = 1 << 16
_FILE, _CATEGORY = "6", "14"
# `#REDIRECT [[Page]]` in any language; dumps of other tools than MediaWiki's have no <redirect>.
_REDIRECT = re.compile(r"\s*[#＃]\w+\s*:?\s*\[\[")
_FIELDS = frozenset({"title", "ns", "id", "timestamp", "model", "text", "namespace"})


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """A record per article; its position is the page's id. Redirects and other namespaces are left out.

    Raises:
        Skipped: from here on it is no dump, or damaged.
    """
    dump = _Dump(options.max_document_bytes)
    while True:
        block = entry.stream.read(_BLOCK)
        problem = dump.feed(block)
        for page in dump.finished():
            position = page.get("id", "?")
            try:
                yield _record(position, page, dump, options)
            except Skipped as bad:
                on_skipped(position, bad)
        if problem:
            raise problem
        if not block:
            return


def _record(position: str, page: dict[str, str], dump: _Dump, options: ReadingOptions) -> Record:
    title, markup = page.get("title", ""), page.get("text", "")
    if page.get("ns", "0") != "0":
        raise Skipped("other namespace", title)
    if "redirect" in page or _REDIRECT.match(markup):
        raise Skipped("redirect page", title)
    if page.get("model", "wikitext") != "wikitext":
        raise Skipped("unsupported type", f"{title}: {page['model']}, not wikitext")
    if "too large" in page:
        raise too_large(options.max_document_bytes)
    try:
        changed = datetime.fromisoformat(page["timestamp"])
    except (KeyError, ValueError):
        changed = None
    raw = markup.encode("utf-8", "replace")
    text = plain_text(markup, dump.hidden)
    return Record(position, text, {"title": title}, raw, dump.encoding, EXTRACTOR, changed)


class _Dump:
    """Takes the XML apart as it comes; holds one block's pages and no field longer than the limit."""

    def __init__(self, limit: int) -> None:
        self.hidden: set[str] = set()
        self.encoding = "utf-8"
        self._limit = limit
        self._path: list[str] = []
        self._page: dict[str, str] = {}
        self._pages: list[dict[str, str]] = []
        self._text: list[str] | None = None
        self._length = self._fed = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.XmlDeclHandler = self._declaration
        # Without a document type there are no entities that could grow.
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, block: bytes) -> Skipped | None:
        """Take the next block, b"" at the end; returns why nothing more can be read."""
        if not self._fed and block.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            self.encoding = "utf-16"
        try:
            self._parser.Parse(block, not block)
        except expat.ExpatError as error:
            return Skipped("damaged", f"not XML from here on: {error}")
        except Skipped as problem:
            return problem
        self._fed += len(block)
        if self._fed - self._parser.CurrentByteIndex > self._limit + _BLOCK:
            return Skipped("too large", "a tag that does not end")
        return None

    def finished(self) -> Iterator[dict[str, str]]:
        """The pages that were complete in what was fed."""
        pages, self._pages = self._pages, []
        yield from pages

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        self.encoding = (encoding or self.encoding).lower()

    def _refuse_doctype(self, *_: object) -> None:
        raise Skipped("unsupported type", "XML with a document type; only MediaWiki dumps are read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path and name != "mediawiki":
            raise Skipped("unsupported type", f"XML of <{name}>; only MediaWiki dumps are read")
        self._path.append(name)
        if name == "page":
            self._page = {}
        elif name == "redirect":
            self._page["redirect"] = attributes.get("title", "")
        elif name in _FIELDS:
            self._text, self._length = [], 0
            if name == "namespace" and attributes.get("key") not in (_FILE, _CATEGORY):
                self._text = None

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._length += len(text)
            if self._length > self._limit:
                self._text = None
                self._page["too large"] = self._path[-1]
            else:
                self._text.append(text)

    def _end(self, name: str) -> None:
        self._path.pop()
        if name == "page":
            self._pages.append(self._page)
        elif name in _FIELDS and self._text is not None:
            value = "".join(self._text)
            if name == "namespace":
                self.hidden.add(value.lower())
            # A page has one id, its revisions and their authors have theirs.
            elif name != "id" or self._path[-1] == "page":
                self._page[name] = value
        self._text = None
