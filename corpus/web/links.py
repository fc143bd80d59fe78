"""Addresses: one spelling for each, and those that a page links to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit, urlunsplit

from corpus.reading.html_charset import page_text
from corpus.reading.skipped import Skipped


def normalised(url: str) -> str | None:
    """The address without its fragment, host in lower case; None if it is none of HTTP or HTTPS."""
    try:
        scheme, host, path, query, _ = urlsplit(url.strip())
    except ValueError:
        return None
    if scheme not in ("http", "https") or not host:
        return None
    return urlunsplit((scheme, host.lower(), path or "/", query, ""))


def links(html: bytes, url: str, charset: str | None = None) -> Iterator[str]:
    """The pages that a page at `url` links to, in their order, but for those that it calls `nofollow`."""
    from lxml import etree

    try:
        source = page_text(html, charset).text.encode("utf-8", "replace")
    except Skipped:  # which is entered when its text is read
        return
    # Of the parsers tried on hostile pages of megabytes, libxml2 is the one that stays linear.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True)
    tree = etree.fromstring(source, parser) if source.strip() else None
    if tree is None:
        return
    base = next((element.get("href") for element in tree.iter("base") if element.get("href")), "")
    for element in tree.iter("a"):
        target = element.get("href")
        if target and "nofollow" not in element.get("rel", "").lower():
            try:
                address = normalised(urljoin(urljoin(url, base), target))
            except ValueError:  # brackets that are no IPv6 address
                continue
            if address:
                yield address
