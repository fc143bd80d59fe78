"""The main text of pages, in English and in Chinese."""

from contextlib import suppress

import pytest

from corpus.reading.formats.html import extract
from corpus.reading.skipped import Skipped

ENGLISH = (
    "Tea is made from the leaves of a bush that grows in the mountains, and is drunk all over the world. "
)
CHINESE = "茶是用生长在山上的灌木叶子制成的饮料，世界各地的人都喜欢喝，已经有几千年的历史了。"


def page(text: str, head: str = "") -> str:
    links = "".join(f'<li><a href="/{number}">Link {number}</a></li>' for number in range(20))
    body = "".join(f"<p>{number}. {text * 3}</p>" for number in range(4))
    return (
        f"<html><head>{head}<title>About\n tea</title><style>p {{}}</style></head><body><nav><ul>{links}</ul>"
        f"</nav><div id='content'><h1>Tea</h1>{body}<script>track()</script></div>"
        "<footer>Contact us. All rights reserved.</footer></body></html>"
    )


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_navigation_and_footers_go(text: str) -> None:
    found = extract(page(text).encode(), "http://example.org/tea")
    assert found.text.count((text * 3).strip()) == 4
    assert (found.title, found.encoding) == ("About tea", "utf-8")
    assert found.extractor.startswith("trafilatura 2")
    for noise in ("Link 7", "Contact us", "track", "{}"):
        assert noise not in found.text


@pytest.mark.parametrize(
    ("head", "http"),
    [
        ('<meta charset="gb2312">', None),
        ("<meta http-equiv='Content-Type' content='text/html; charset=GBK'>", None),
        ("", "gb18030"),
        ("", None),
        ('<meta charset="utf-8">', None),
    ],
)
def test_the_charset_of_a_page(head: str, http: str | None) -> None:
    found = extract(page(CHINESE, head).encode("gb18030"), declared_charset=http)
    assert CHINESE in found.text
    assert found.encoding == "gb18030"


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (b"", "no main text"),
        (b"\x89PNG\0\0", "binary"),
        (b"<div>" * 300_000, "too large"),
    ],
)
def test_a_page_that_is_left_out(html: bytes, reason: str) -> None:
    with pytest.raises(Skipped) as left_out:
        extract(html)
    assert left_out.value.reason == reason


def test_deep_nesting_neither_crashes_nor_hangs() -> None:
    deep = b"<div>" * 50_000 + ENGLISH.encode() * 20 + b"</div>" * 50_000
    with suppress(Skipped):
        assert "Tea" in extract(deep).text
