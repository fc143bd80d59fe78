"""Walk over the pages of a web source, asking servers only for what may have changed."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from urllib.parse import urlsplit

from corpus.reading.skipped import Skipped
from corpus.web.downloads import DECODING, Downloads, Page
from corpus.web.fetching import Client, NotFetched
from corpus.web.links import links, normalised
from corpus.web.sitemaps import MAX_BYTES, entries

HTML = frozenset({"text/html", "application/xhtml+xml"})
MAX_SITEMAPS = 1000


@dataclass(frozen=True)
class Site:
    """Where a walk begins, whether it follows links, and how far it goes."""

    start: tuple[str, ...]
    sitemaps: tuple[str, ...]
    follow: bool
    max_pages: int
    max_document_bytes: int


class Crawl:
    """One walk. Afterwards `not_asked` says how many pages could not be asked for and stayed as they were,
    `beyond` how often one more than `max_pages` was named.
    """

    def __init__(self, site: Site, client: Client, downloads: Downloads) -> None:
        self.site, self.client, self.downloads = site, client, downloads
        self.not_asked = self.beyond = 0
        self._queue: deque[tuple[str, str]] = deque()
        self._seen: set[str] = set()

    def pages(self) -> Iterator[Page]:
        """Every page once, those that can't be had too: first those of `start`, then those in sitemaps,
        then those that they link to. Pages that are not among them are forgotten.
        """
        for url in self.site.start:
            self._enqueue(url)
        sitemaps: dict[str, str] = dict.fromkeys(self.site.sitemaps, "")
        read: set[str] = set()
        while sitemaps and len(read) < MAX_SITEMAPS:
            url = next(iter(sitemaps))
            yield from self._expand(url, sitemaps.pop(url), sitemaps)
            read.add(url)
            sitemaps = {url: changed for url, changed in sitemaps.items() if url not in read}
        for url in sitemaps:
            read.add(url)
            yield self._without(url, "too many sitemaps", f"more than {MAX_SITEMAPS:,}")
        while self._queue:
            page = self._page(*self._queue.popleft())
            yield page
            if self.site.follow and not page.reason:
                for link in links(page.body, page.final_url, page.charset):
                    if urlsplit(link).netloc in self.client.hosts:
                        self._enqueue(link)
        self.downloads.forget_all_but(self._seen | read)

    def _enqueue(self, url: str, changed: str = "") -> None:
        if url in self._seen:
            return
        if len(self._seen) == self.site.max_pages:
            self.beyond += 1
            return
        self._seen.add(url)
        self._queue.append((url, changed))

    def _expand(self, url: str, changed: str, sitemaps: dict[str, str]) -> Iterator[Page]:
        """Put what a sitemap lists into the queue, or among the sitemaps; yields it if it can't be read."""
        sitemap = self._fetched(url, changed, MAX_BYTES, frozenset())
        try:
            listed = [] if sitemap.reason else entries(sitemap.body, sitemap.final_url)
        except Skipped as bad:
            sitemap = self._without(url, bad.reason, bad.detail)
            listed = []
        if sitemap.reason:
            yield sitemap
        for entry in listed:
            address = normalised(entry.url)
            if address and entry.is_sitemap:
                sitemaps.setdefault(address, entry.changed)
            elif address:
                self._enqueue(address, entry.changed)
            else:
                self._seen.add(entry.url)
                yield self._without(entry.url, "bad address", f"in the sitemap {url}")

    def _without(self, url: str, reason: str, detail: str) -> Page:
        """A page that can't be had, kept as such."""
        page = Page(url, reason=reason, detail=detail)
        self.downloads.keep(page)
        return page

    def _page(self, url: str, changed: str) -> Page:
        return self._fetched(url, changed, self.site.max_document_bytes, HTML)

    def _fetched(self, url: str, changed: str, max_bytes: int, types: frozenset[str]) -> Page:
        """The page as it is now, or as it was when it can't be asked for, or the reason why there is none."""
        before = self.downloads.load(url)
        if before and before.reason:
            before = None
        known = before if before and before.decoding == DECODING else None
        try:
            if known and changed and known.listed_as_changed == changed:
                self.client.check(url)
                return known
            page = self._asked(url, known, max_bytes, types)
        except NotFetched as refused:
            if refused.for_now and before:
                self.not_asked += 1
                return before
            page = Page(url, reason=refused.reason, detail=refused.detail)
        page = replace(page, listed_as_changed=changed)
        if page != before:
            self.downloads.keep(page)
        return page

    def _asked(self, url: str, before: Page | None, max_bytes: int, types: frozenset[str]) -> Page:
        """What the server says; `before` again when it says that nothing changed."""
        answer = self.client.get(
            url,
            max_bytes,
            _conditions(before) if before else {},
            lambda content_type: not types or content_type in types,
        )
        if answer.status == 304 and before:
            return before
        if answer.status == 304:
            raise NotFetched("no page", "HTTP 304 to a question without conditions")
        return Page(
            url=url,
            body=answer.body,
            final_url=answer.url,
            charset=_charset(answer.headers.get("content-type", "")),
            etag=answer.headers.get("etag", ""),
            last_modified=answer.headers.get("last-modified", ""),
        )


def _conditions(page: Page) -> dict[str, str]:
    """Request headers that ask for the page only if it is another one by now."""
    stated = {"if-none-match": page.etag, "if-modified-since": page.last_modified}
    return {
        name: value for name, value in stated.items() if value and value.isascii() and value.isprintable()
    }


def _charset(content_type: str) -> str | None:
    """The charset that a Content-Type header declares, if Python knows it."""
    header = Message()
    header["content-type"] = content_type
    charset = header.get_content_charset()
    try:
        return codecs.lookup(charset).name if charset else None
    except LookupError:
        return None
