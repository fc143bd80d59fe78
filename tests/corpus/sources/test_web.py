"""The web source, on a real server that is friendly, forgetful or hostile."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.documents import Document, Item
from corpus.errors import SourceError
from corpus.sources.web import Pages, WebSource
from corpus.web import crawling
from corpus.web.downloads import Downloads
from tests.corpus.sources.printed import Printed
from tests.corpus.sources.site import BODY, Site, html, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        yield site


def _source(site: Site, **options: Any) -> WebSource:
    beginnings = {"start": [f"{site.url}{path}" for path in options.pop("start", ())]}
    beginnings["sitemaps"] = [f"{site.url}{path}" for path in options.pop("sitemaps", ())]
    return WebSource.model_validate({"requests_per_second": 1000, "timeout": 2} | beginnings | options)


def _read(
    folder: Path, source: WebSource
) -> tuple[list[Item], dict[str, Document], dict[str, tuple[str, str]]]:
    """The items, the documents by path, and why the other pages were left out."""
    pages = Pages(folder)
    items = list(pages.items(source, {}, Printed()))
    found: dict[str, Document] = {}
    left_out: dict[str, tuple[str, str]] = {}

    def path(uri: str) -> str:
        return "/" + uri.split("/", 3)[3]

    def on_skip(uri: str, reason: str, detail: str) -> None:
        left_out[path(uri)] = reason, detail

    for item in items:
        found |= {path(document.uri): document for document in pages.read(source, item, on_skip)}
    return items, found, left_out


def test_pages_of_a_sitemap(tmp_path: Path, site: Site) -> None:
    site.put("/robots.txt", b"User-agent: *\nDisallow: /private/\n", "text/plain")
    site.sitemap("/sitemap.xml", "/b", "/private/x", "/gone", "/picture.png")
    site.put(
        "/listed.xml.gz",
        gzip.compress(f"{site.url}/a\nhttp://elsewhere.invalid/\n".encode()),
        "application/gzip",
    )
    maps = "".join(
        f"<sitemap><loc>{site.url}{path}</loc></sitemap>" for path in ("/sitemap.xml", "/listed.xml.gz")
    )
    index = f"<sitemapindex>{maps}</sitemapindex>"
    site.put("/index.xml", index.encode(), "text/xml")
    site.put("/a", html("Alpha", "潮水在清晨退去，渔船一艘接一艘离开了港口。" * 4))
    site.put("/b", html("Beta"), Last_Modified="Tue, 14 Nov 2023 22:13:20 GMT")
    site.put("/picture.png", b"\x89PNG", "image/png")
    items, found, left_out = _read(tmp_path, _source(site, sitemaps=["/index.xml"], license="CC-BY-4.0"))
    assert [item.uri for item in items] == sorted(item.uri for item in items)
    assert sorted(found) == ["/a", "/b"]
    assert "渔船一艘接一艘" in found["/a"].text
    beta = found["/b"]
    assert BODY in beta.text
    assert "Home" not in beta.text
    assert (beta.license, beta.meta["title"], beta.encoding) == ("CC-BY-4.0", "Beta", "utf-8")
    assert beta.collected_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert beta.raw == html("Beta")
    assert left_out["/private/x"] == ("robots.txt", "forbids it")
    assert left_out["/gone"] == ("not found", "HTTP 404")
    assert left_out["/picture.png"] == ("unsupported type", "image/png")
    assert left_out["/"][0] == "other host"
    assert "/private/x" not in site.asked


def test_a_second_time_only_changes_are_sent(tmp_path: Path, site: Site) -> None:
    for path in ("/a", "/b", "/c"):
        site.put(path, html(path))
    site.sitemap("/map", "/a", "/b", "/c")
    source = _source(site, sitemaps=["/map"])
    first, *_ = _read(tmp_path, source)
    site.put("/b", html("changed"), ETag='"\xe9"')
    site.sitemap("/map", "/a", "/b")
    second, found, _ = _read(tmp_path, source)
    assert second[0] == first[0]
    assert second[1].uri == first[1].uri
    assert second[1].version != first[1].version
    assert "changed" in found["/b"].text
    assert _read(tmp_path, source)[0] == second
    assert len(list(tmp_path.iterdir())) == 3  # the sitemap and two pages: what is gone is forgotten


def test_a_sitemap_that_states_no_change_saves_the_question(tmp_path: Path, site: Site) -> None:
    site.put("/a", html("Alpha"))
    site.sitemap("/map", "/a", lastmod="2026-01-01")
    source = _source(site, sitemaps=["/map"])
    first, *_ = _read(tmp_path, source)
    site.put("/a", html("Alpha, changed"))
    assert _read(tmp_path, source)[0] == first
    site.sitemap("/map", "/a", lastmod="2026-01-02")
    assert _read(tmp_path, source)[0] != first
    assert site.asked.count("/a") == 2


def test_a_site_that_is_down_keeps_its_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve() as site:
        site.put("/a", html("Alpha"))
        site.sitemap("/map", "/a")
        source = _source(site, sitemaps=["/map"])
        first, *_ = _read(tmp_path, source)
    second, found, _ = _read(tmp_path, source)
    assert second == first
    assert list(found) == ["/a"]
    assert "2 pages could not be asked for today" in capsys.readouterr().out
    with pytest.raises(SourceError, match=r"none of 1 pages can be had, .*unreachable.*; check `start`"):
        _read(tmp_path / "fresh", source)


def test_links_are_followed_on_the_same_host_only(tmp_path: Path, site: Site) -> None:
    links = (
        "<a href='/b#part'>b</a> <a href='c?x=1'>c</a> <a href='/d' rel='nofollow'>d</a> "
        "<a href='http://elsewhere.invalid/'>e</a> <a href='mailto:a@example.org'>f</a> <a href='http://[/'>g</a>"
    )
    site.put("/", html("Start", links=links))
    site.put("/b", html("Beta", links="<a href='/'>back</a>"))
    site.put("/c?x=1", html("Gamma", links="<a href='/deep'>deep</a>"))
    site.put("/deep", html("Deep"))
    everything = _read(tmp_path / "all", _source(site, start=["/"], follow=True))[1]
    assert sorted(everything) == ["/", "/b", "/c?x=1", "/deep"]
    assert len(_read(tmp_path / "some", _source(site, start=["/"], follow=True, max_pages=3))[0]) == 3
    assert list(_read(tmp_path / "one", _source(site, start=["/"]))[1]) == ["/"]


def _stall(request: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def _drip(request: BaseHTTPRequestHandler) -> None:
    """Send a header byte every now and then: each read succeeds, the answer never ends."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 100:
            request.wfile.write(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass


def _flood(request: BaseHTTPRequestHandler) -> None:
    """Send a body without end."""
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65536)
    except OSError:
        pass


def _answer(status: int, content: bytes = b"", **headers: str) -> Any:
    stated = {"Content-Length": str(len(content)), "Content-Type": "text/html"}
    stated |= {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in stated.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = True

    return answer


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (_stall, "timeout"),
        (_drip, "timeout"),
        (_flood, "too large"),
        (_answer(302, Location="/bad"), "too many redirects"),
        (_answer(302, Location="http://elsewhere.invalid/"), "other host"),
        (_answer(302, Location="file:///etc/passwd"), "bad address"),
        (_answer(302, Location="http://[/"), "bad address"),
        (_answer(302), "too many redirects"),
        (_answer(429, Retry_After="86400"), "too busy"),
        (_answer(503, Retry_After="0"), "too busy"),
        (_answer(500), "server error"),
        (_answer(403), "no page"),
        (_answer(200, html("short"), Content_Length="100000"), "broken answer"),
        (_answer(200, gzip.compress(html("packed"))[:-9], Content_Encoding="gzip"), "damaged"),
        (_answer(200, b""), "no main text"),
    ],
)
def test_a_bad_answer_is_one_page_less(tmp_path: Path, site: Site, behaviour: Any, reason: str) -> None:
    site.put("/a", html("Alpha"))
    site.pages["/bad"] = behaviour
    started = time.monotonic()
    source = _source(site, start=["/a", "/bad"], timeout=0.5, max_document_bytes=100_000)
    _, found, left_out = _read(tmp_path, source)
    assert list(found) == ["/a"]
    assert left_out["/bad"][0] == reason
    assert time.monotonic() - started < 30


def test_a_server_that_asks_for_patience_gets_it(tmp_path: Path, site: Site) -> None:
    def busy_once(request: BaseHTTPRequestHandler) -> None:
        site.put("/a", html("Alpha"))
        _answer(429, Retry_After="1")(request)

    site.pages["/a"] = busy_once
    started = time.monotonic()
    assert list(_read(tmp_path, _source(site, start=["/a"]))[1]) == ["/a"]
    assert 1 <= time.monotonic() - started < 30


def test_the_slower_of_recipe_and_robots_is_kept_to(tmp_path: Path, site: Site) -> None:
    site.put("/robots.txt", b"User-agent: textmill\nCrawl-delay: 0.3\n", "text/plain")
    for path in ("/a", "/b", "/c"):
        site.put(path, html(path))
    started = time.monotonic()
    assert len(_read(tmp_path, _source(site, start=["/a", "/b", "/c"]))[1]) == 3
    assert time.monotonic() - started >= 0.6


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (_answer(500), "can't be read: server error"),
        (_answer(200, b"User-agent: *\nCrawl-delay: 9999"), "asks for 9999 s"),
    ],
)
def test_robots_that_forbid_everything(tmp_path: Path, site: Site, answer: Any, detail: str) -> None:
    site.pages["/robots.txt"] = answer
    site.put("/a", html("Alpha"))
    with pytest.raises(SourceError, match=rf"robots\.txt: {detail}"):
        _read(tmp_path, _source(site, start=["/a"]))
    assert site.asked == ["/robots.txt"]


def test_a_page_that_robots_now_forbid_leaves_the_corpus(tmp_path: Path, site: Site) -> None:
    site.put("/a", html("Alpha"))
    site.put("/b", html("Beta"))
    source = _source(site, start=["/a", "/b"])
    _read(tmp_path, source)
    site.put("/robots.txt", b"User-agent: *\nDisallow: /b\n", "text/plain")
    assert list(_read(tmp_path, source)[1]) == ["/a"]


def test_robots_are_heard_even_if_the_sitemap_says_that_nothing_changed(tmp_path: Path, site: Site) -> None:
    site.put("/a", html("Alpha"))
    site.put("/b", html("Beta"))
    site.sitemap("/map", "/a", "/b", lastmod="2026-01-01")
    source = _source(site, sitemaps=["/map"])
    _read(tmp_path, source)
    site.put("/robots.txt", b"User-agent: *\nDisallow: /b\n", "text/plain")
    assert list(_read(tmp_path, source)[1]) == ["/a"]


def test_a_page_that_was_removed_meanwhile_is_fetched_again(tmp_path: Path, site: Site) -> None:
    site.put("/a", html("Alpha"))
    source, pages = _source(site, start=["/a"]), Pages(tmp_path)
    (item,) = pages.items(source, {})
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(SourceError, match="run again, it is fetched anew"):
        list(pages.read(source, item, lambda *left_out: None))
    assert list(_read(tmp_path, source)[1]) == ["/a"]


def test_addresses_of_a_sitemap_that_are_none_are_entered(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawling, "MAX_SITEMAPS", 2)
    for path in ("/a", "/b"):
        site.put(path, html(path))
    index = "".join(f"<sitemap><loc>{site.url}/{name}</loc></sitemap>" for name in ("m1", "m2"))
    site.put("/map", f"<sitemapindex>{index}</sitemapindex>".encode(), "text/xml")
    site.put(
        "/m1", b"<urlset><url><loc>a</loc></url><url><loc>ftp://x.org/f</loc></url></urlset>", "text/xml"
    )
    site.put("/m2", b"<urlset><url><loc>/b</loc></url></urlset>", "text/xml")
    _, found, left_out = _read(tmp_path, _source(site, sitemaps=["/map"]))
    assert list(found) == ["/a"]
    assert sorted(reason for reason, _ in left_out.values()) == ["bad address", "too many sitemaps"]


def test_a_page_is_read_whatever_is_said_of_its_encoding(tmp_path: Path, site: Site) -> None:
    page = html("Alpha", "Größe und Maß. " + BODY)
    site.put("/whole", page)
    site.put("/members", gzip.compress(page[:99]) + gzip.compress(page[99:]), Content_Encoding="gzip")
    site.put("/unsaid", gzip.compress(page))
    site.put("/false", page, Content_Encoding="gzip")
    site.put("/utf16", page.replace(b"<head>", b"<head><meta charset=utf-16>"), "text/html")
    site.put("/latin", page.decode().encode("cp1252"), "text/html; charset=utf-16")
    greek = html("Alpha", "Ένα κείμενο. " + BODY).replace(b"<head>", b"<head><meta charset=windows-1253>")
    site.put("/greek", greek.decode().encode("cp1253"), "text/html; charset=iso-8859-1")
    site.put("/robots.txt", b"\xef\xbb\xbfUser-agent: *\nDisallow: /hidden\n", "text/plain")
    site.put("/hidden", page)
    paths = ["/whole", "/members", "/unsaid", "/false", "/utf16", "/latin", "/greek", "/hidden"]
    _, found, left_out = _read(tmp_path, _source(site, start=paths))
    assert left_out == {"/hidden": ("robots.txt", "forbids it")}
    texts = {path: document.text for path, document in found.items()}
    assert {path: text for path, text in texts.items() if text != texts["/whole"]} == {
        "/greek": texts["/whole"].replace("Größe und Maß.", "Ένα κείμενο.")
    }


def test_pages_that_were_kept_with_another_decoding_are_asked_for_anew(tmp_path: Path, site: Site) -> None:
    site.put("/a", html("Alpha"))
    source = _source(site, start=["/a"])
    _read(tmp_path, source)
    kept = Downloads(tmp_path)
    page = kept.load(f"{site.url}/a")
    assert page
    kept.keep(replace(page, body=html("Cut"), decoding=1))
    assert "Alpha" in _read(tmp_path, source)[1]["/a"].text


def test_addresses_are_checked() -> None:
    assert WebSource(start=("HTTP://Example.ORG#top",)).start == ("http://example.org/",)
    for wrong in ("example.org", "ftp://example.org/", "https://user:secret@example.org/", "http://[/"):
        with pytest.raises(ValidationError, match="is no address"):
            WebSource(start=(wrong,))
    with pytest.raises(ValidationError, match="give `start` or `sitemaps`"):
        WebSource()
