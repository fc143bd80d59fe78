"""Addresses: one spelling for each, and those that a page links to."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit, urlunsplit


def normalised(url: str) -> str | None:
    """The address without its fragment, host in lower case; None if it is none of HTTP or HTTPS."""
    try:
        scheme, host, path, query, _ = urlsplit(url.strip())
    except ValueError:
        return None
    if scheme not in ("http", "https") or not host:
        return None
    return urlunsplit((scheme, host.lower(), path or "/", query, ""))


def links(html: str, url: str) -> Iterator[str]:
    """The pages that a page at `url` links to, in their order, but for those that it calls `nofollow`."""
    parser = _Links()
    parser.feed(html)
    base = urljoin(url, parser.base)
    for target in parser.targets:
        try:
            address = normalised(urljoin(base, target))
        except ValueError:  # brackets that are no IPv6 address
            continue
        if address:
            yield address


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "base" and not self.base:
            self.base = attributes.get("href", "")
        elif tag == "a" and "href" in attributes and "nofollow" not in attributes.get("rel", "").lower():
            self.targets.append(attributes["href"])
