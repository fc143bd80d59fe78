"""Links of a page, friendly or hostile."""

import pytest

from corpus.web.links import links, normalised
from tests.linear_time import takes_linear_time


def test_one_spelling_for_each_address() -> None:
    assert normalised("HTTPS://Example.org#x") == "https://example.org/"
    assert normalised(" http://a.b:80/p?q=1#f ") == "http://a.b:80/p?q=1"
    for other in ("mailto:a@b.c", "javascript:x", "//a.b/c", "http://[/", ""):
        assert normalised(other) is None


def test_links_are_resolved() -> None:
    page = (
        b"<base href='/docs/'><a href='a#1'>1</a><a href='../b'>2</a><a>3</a>"
        b"<a rel='external NOFOLLOW' href='c'>4</a>"
        b"<a href='http://[/'>5</a><a href='//other.org/d'>6</a><a href='tel:1'>7</a>"
    )
    assert list(links(page, "http://a.b/")) == ["http://a.b/docs/a", "http://a.b/b", "http://other.org/d"]
    assert list(links("<a href='/中'>1</a>".encode("gb18030"), "http://a.b/", "gb18030")) == ["http://a.b/中"]


@pytest.mark.parametrize("part", [b"", b"<a ", b"<", b"<!--", b"<div>", b"<a x='' ", b"&", b"\0"])
def test_a_hostile_page_takes_no_time(part: bytes) -> None:
    assert list(links(part * 1000, "http://a.b/")) == []
    assert takes_linear_time(lambda size: list(links(part * size, "http://a.b/")), 1_000_000)
