"""Sitemaps as sites have them."""

from __future__ import annotations

import gzip

import pytest

from corpus.reading.skipped import Skipped
from corpus.web.sitemaps import entries


def test_entities_in_a_sitemap_are_refused_in_every_encoding() -> None:
    laughs = (
        '<!DOCTYPE l [<!ENTITY a "http://x/"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>'
    )
    for codec in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(Skipped, match=r"document type|not UTF-8"):
            entries(laughs.encode(codec))


URLSET = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>http://x.org/a?b=1&amp;c=2</loc>
<lastmod>2026</lastmod><image:image xmlns:image="urn:i"><image:loc>http://x.org/i.png</image:loc></image:image>
</url><url><loc> /d </loc></url></urlset>"""


@pytest.mark.parametrize(
    "content",
    [
        URLSET.encode(),
        b"\n\r\n " + URLSET.encode(),
        b"\xef\xbb\xbf\n" + URLSET.encode(),
        URLSET.encode("utf-16"),
        URLSET.replace("&amp;", "&").encode(),
        URLSET.replace("http://x.org/a?b=1&amp;c=2", "<![CDATA[http://x.org/a?b=1&c=2]]>").encode(),
        URLSET.replace(' xmlns:image="urn:i"', "").encode(),
        URLSET.replace("http://www.sitemaps.org/schemas/sitemap/0.9", "urn:another").encode(),
        URLSET.replace("<url>", "<s:url>").replace("</url>", "</s:url>").replace("loc>", "s:loc>")
        .replace("lastmod>", "s:lastmod>").replace("image:s:loc", "image:loc").encode(),
        b"<!-- made by hand -->\n" + URLSET.encode(),
        b"<br />\n<b>Warning</b>: mysql_connect() &nbsp;\n" + URLSET.encode() + b"\n45 queries in 0.2 s",
        b"Notice: undefined index in x.php on line 3\n" + URLSET.encode(),
        URLSET.replace("i.png", "i\x0b.png").encode(),
        URLSET.replace("urlset", "URLSET").replace("url>", "URL>").replace("<loc>", "<Loc>")
        .replace("</loc>", "</Loc>").encode(),
        gzip.compress(URLSET[:90].encode()) + gzip.compress(URLSET[90:].encode()),
    ],
)  # fmt: skip
def test_sitemaps_as_they_are_found(content: bytes) -> None:
    found = [(entry.url, entry.changed) for entry in entries(content, "http://x.org/sitemaps/1.xml")]
    assert found == [("http://x.org/a?b=1&c=2", "2026"), ("http://x.org/d", "")]


def test_what_is_no_sitemap_is_said_to_be_none() -> None:
    for content in (
        b"<rss><channel/></rss>",
        b"<html><body>404</body></html>",
        b"Not here",
        b"<urlset><url>",
    ):
        with pytest.raises(Skipped, match="bad sitemap"):
            entries(content)
    assert entries(b"# pages\n http://x.org/a\n\nhttp://x.org/b") == [
        ("http://x.org/a", "", False), ("http://x.org/b", "", False)
    ]  # fmt: skip
    assert entries(b"<urlset/>") == entries(b"") == []
