"""The main text of a web page, through trafilatura.

Against resiliparse it is ten times slower and leaves less than half of the noise (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

from corpus.reading.containers import Entry
from corpus.reading.html_charset import page_text
from corpus.reading.options import ReadingOptions
from corpus.reading.record import OnSkipped, Record, too_large
from corpus.reading.skipped import Skipped

SUFFIXES = {"html": (".html", ".htm", ".xhtml")}

_MOST_ELEMENTS = 200_000


class MainText(NamedTuple):
    """What is in a page: its main text, its title, and how both were found."""

    text: str
    title: str
    encoding: str
    extractor: str


def read(entry: Entry, options: ReadingOptions, on_skipped: OnSkipped) -> Iterator[Record]:
    """The one record of a page.

    Raises:
        Skipped: the page can't be used.
    """
    raw = entry.stream.read(options.max_document_bytes + 1)
    if len(raw) > options.max_document_bytes:
        raise too_large(options.max_document_bytes)
    page = extract(raw)
    yield Record(
        "",
        page.text,
        {"title": page.title} if page.title else {},
        raw,
        page.encoding,
        page.extractor,
    )


def extract(html: bytes, url: str | None = None, declared_charset: str | None = None) -> MainText:
    """The main text of a page, without navigation, footers and comments; tables and lists as lines.

    Args:
        url: where it is from.
        declared_charset: what HTTP says.

    Raises:
        Skipped: it can't be decoded or parsed, or has no main text.
    """
    import trafilatura

    source, encoding = page_text(html, declared_charset)
    if source.count("<") > _MOST_ELEMENTS:
        raise Skipped("too large", f"a page of more than {_MOST_ELEMENTS} elements")
    try:
        tree = trafilatura.load_html(source)
        if tree is None:
            raise Skipped("no main text", "no HTML in it")
        title = " ".join((tree.findtext(".//title") or "").split())
        text = trafilatura.extract(tree, url=url, fast=True, include_comments=False)
    except (ValueError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        raise Skipped("damaged", f"the page can't be taken apart: {error}") from error
    if not text:
        raise Skipped("no main text", "nothing but navigation, or nothing at all")
    return MainText(text, title, encoding, extractor())


@cache
def extractor() -> str:
    """The name and version of what makes text of pages."""
    return f"trafilatura {version('trafilatura')}"
