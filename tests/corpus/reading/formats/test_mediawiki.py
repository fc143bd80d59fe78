"""Wikipedia dumps: articles, and all that is none."""

import bz2
import io

import pytest

from corpus.reading.containers import entries
from corpus.reading.formats.mediawiki import read
from corpus.reading.options import ReadingOptions
from corpus.reading.record import Record
from corpus.reading.skipped import Skipped

SITE = """<siteinfo><namespaces><namespace key="0" /><namespace key="6">Datei</namespace>
<namespace key="14">Kategorie</namespace></namespaces></siteinfo>"""


def page(number: int, text: str, title: str = "T", ns: int = 0, extra: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{extra}<revision><id>99</id>"
        f"<timestamp>2024-05-06T07:08:09Z</timestamp><contributor><id>7</id></contributor>"
        f'<model>wikitext</model><text xml:space="preserve">{text}</text></revision></page>'
    )


def records(
    content: bytes, name: str = "dump.xml", limit: int = 10_000
) -> tuple[list[Record], dict[str, str]]:
    bad: dict[str, str] = {}
    found: list[Record] = []
    (entry,) = list(entries(name, io.BytesIO(content), len(content), 10**9, lambda *_: None))
    options = ReadingOptions(max_document_bytes=limit)
    try:
        for record in read(entry, options, lambda at, why: bad.update({at: why.reason})):
            found.append(record)
    except Skipped as end:
        bad["end"] = end.reason
    return found, bad


def dump(*pages: str) -> str:
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{SITE}{"".join(pages)}</mediawiki>'


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_articles(codec: str) -> None:
    content = dump(
        page(
            1, "'''Tee''' ist ein [[Getränk]]. [[Datei:Tee.jpg|mini|Bild]][[Kategorie:Tee]] &amp;lt;", "Tee"
        ),
        page(2, "#REDIRECT [[Tee]]", extra='<redirect title="Tee" />'),
        page(3, "Diskussion", ns=1),
        page(4, "x" * 20_000),
        page(5, "Ende"),
    )
    found, bad = records(bz2.compress(content.encode(codec)), "dump.xml.bz2")
    assert [(record.position, record.text) for record in found] == [
        ("1", "Tee ist ein Getränk. <"),
        ("5", "Ende"),
    ]
    assert (found[0].meta, found[0].encoding) == ({"title": "Tee"}, codec)
    assert found[0].changed is not None
    assert found[0].changed.isoformat() == "2024-05-06T07:08:09+00:00"
    assert bad == {"2": "redirect page", "3": "other namespace", "4": "too large"}


@pytest.mark.parametrize("markup", ["#REDIRECT [[Tee]]", "#重定向 [[茶]]", "#WEITERLEITUNG:[[Tee]] {{R}}"])
def test_a_redirect_that_only_its_text_tells(markup: str) -> None:
    found, bad = records(dump(page(1, markup), page(2, "# [[Tee]] und Kaffee")).encode())
    assert ([record.position for record in found], bad) == (["2"], {"1": "redirect page"})


def test_a_damaged_dump_keeps_what_came_before() -> None:
    content = dump(page(1, "one"), page(2, "two")).encode()
    found, bad = records(content[: content.rindex(b"two")])
    assert ([record.text for record in found], bad) == (["one"], {"end": "damaged"})


def test_entities_can_not_grow() -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    content = f"<!DOCTYPE mediawiki [{laughs}]>{dump(page(1, '&a9;'))}"
    assert records(content.encode()) == ([], {"end": "unsupported type"})


def test_a_tag_that_never_ends() -> None:
    assert records(b"<mediawiki " + b"x" * 1_000_000) == ([], {"end": "too large"})
