"""Pages of web sites: some addresses, those in sitemaps, those that they link to, as text.

Listing a site is fetching it: unchanged pages answer 304, or are not even asked for when the sitemap says
that they are as old as last time. A page that is gone, or that robots.txt now forbids, leaves the corpus; one
that can't be reached today stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from corpus.documents import Document, Item, OnSkip
from corpus.errors import SourceError
from corpus.reading.skipped import Skipped
from corpus.watcher import NOBODY, Watcher
from corpus.web.downloads import Downloads
from corpus.web.links import normalised
from model_code.config.strict import StrictModel


class WebSource(StrictModel):
    """Pages of web sites, over HTTP or HTTPS."""

    kind: Literal["web"] = "web"
    name: str = Field(default="web", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="licence of all documents of this source")
    start: tuple[str, ...] = Field(default=(), description="addresses of pages")
    sitemaps: tuple[str, ...] = Field(default=(), description="addresses of sitemaps, or of indexes of them")
    follow: bool = Field(default=False, description="also take the pages that they link to on the same hosts")
    max_pages: int = Field(default=1000, ge=1, description="most pages to take")
    requests_per_second: float = Field(
        default=1.0, gt=0, le=1000, description="most requests to one host; its robots.txt may ask for fewer"
    )
    timeout: float = Field(default=30.0, gt=0, le=600, description="seconds for one request, all in all")
    max_document_bytes: int = Field(default=10_000_000, ge=1, description="larger pages are left out")

    @property
    def meta_keys(self) -> tuple[str, ...]:
        """What documents may have in their `meta`."""
        return ("title", "redirected_to")

    @field_validator("start", "sitemaps")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        addresses = [normalised(url) for url in urls]
        for url, address in zip(urls, addresses, strict=True):
            if address is None or "@" in urlsplit(address).netloc:
                raise ValueError(f"{url!r} is no address such as https://example.org/page")
        return tuple(address for address in addresses if address)

    @model_validator(mode="after")
    def _has_a_beginning(self) -> Self:
        if not (self.start or self.sitemaps):
            raise ValueError("give `start` or `sitemaps`")
        return self


CONFIG, CODE = WebSource, ()


def place(config: WebSource) -> str:
    """Nothing: an address is the same from everywhere."""
    return ""


class Pages:
    """Reads web sources; pages are kept in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.downloads = Downloads(directory)

    def items(self, config: WebSource, known: Mapping[str, str], watcher: Watcher = NOBODY) -> Iterator[Item]:
        """Every page that was asked for, sorted by address; those that can't be had as well.

        Raises:
            SourceError: no page at all can be had.
        """
        from corpus.web.crawling import Crawl, Site
        from corpus.web.fetching import Client

        hosts = frozenset(urlsplit(url).netloc for url in (*config.start, *config.sitemaps))
        versions: dict[str, str] = {}
        failures: list[str] = []
        with (
            watcher.progress(f"pages of {config.name}") as advance,
            Client(hosts, config.requests_per_second, config.timeout) as client,
        ):
            site = Site(
                config.start, config.sitemaps, config.follow, config.max_pages, config.max_document_bytes
            )
            crawl = Crawl(site, client, self.downloads)
            for page in crawl.pages():
                versions[page.url] = page.version
                if page.reason:
                    failures.append(f"{page.url} ({page.reason}: {page.detail})")
                advance(len(versions), note=page.url[-60:])
        if len(failures) == len(versions):
            first = f", the first: {failures[0]}" if failures else ""
            raise SourceError(
                f"{config.name}: none of {len(versions)} pages can be had{first}; check `start` and "
                "`sitemaps`, whether the site is up, and whether its robots.txt allows them"
            )
        if crawl.not_asked:
            watcher.warn(
                f"{config.name}: {crawl.not_asked:,} pages could not be asked for today; "
                "their last text stays"
            )
        if crawl.beyond:
            watcher.say(f"{config.name}: at least {crawl.beyond:,} pages more than max_pages, not asked for")
        for url in sorted(versions):
            yield Item(url, versions[url])

    def read(self, config: WebSource, item: Item, on_skip: OnSkip) -> Iterator[Document]:
        """The text of one page, without navigation, as it was last fetched.

        Raises:
            SourceError: it is no longer kept.
        """
        from corpus.reading.formats.html import extract

        page = self.downloads.load(item.uri)
        if page is None:
            # Left out, it would stay so until the page changes.
            raise SourceError(
                f"{config.name}: {item.uri} is no longer among the kept pages, perhaps since another process "
                "removed it (`textmill gc`); run again, it is fetched anew"
            )
        if page.reason:
            on_skip(item.uri, page.reason, page.detail)
            return
        try:
            text, title, encoding, extractor = extract(page.body, page.final_url, page.charset)
        except Skipped as skipped:
            on_skip(item.uri, skipped.reason, skipped.detail)
            return
        if not text.strip():
            on_skip(item.uri, "empty", "no text besides navigation")
            return
        meta = {"title": title or ""} | (
            {"redirected_to": page.final_url} if page.final_url != page.url else {}
        )
        yield Document(
            text=text,
            source=config.name,
            uri=page.url,
            license=config.license,
            collected_at=_time(page.last_modified),
            meta=meta,
            raw=page.body,
            encoding=encoding,
            extractor=extractor,
        )

    def reader_version(self) -> str:
        """The version of the library that finds the text of a page."""
        from corpus.reading.formats import html

        return html.extractor()


def reader(folder: Path) -> Pages:
    """What reads such sources; pages are kept in `folder`."""
    return Pages(folder)


def _time(stated: str) -> datetime | None:
    """A Last-Modified header as a time."""
    with suppress(TypeError, ValueError):
        return parsedate_to_datetime(stated).astimezone(UTC)
    return None
