"""Bytes of an HTML page to its source text: which charset counts, of those that are declared."""

from __future__ import annotations

import re

from corpus.reading.decoding import Decoded, decode

# Both stand in the first bytes, https://html.spec.whatwg.org/#determining-the-character-encoding
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{2,40})|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]{2,40})""",
    re.IGNORECASE,
)
_HEAD_BYTES = 4096
# What servers say of every page unless somebody told them otherwise.
_BY_DEFAULT = frozenset({"iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii"})


def page_text(html: bytes, sent_as: str | None = None) -> Decoded:
    """The source of a page.

    Args:
        sent_as: the charset in the Content-Type header; counts before the page's own, unless it is Latin-1.

    Raises:
        Skipped: it is binary, or in no encoding that can be told.
    """
    stated = _DECLARED.search(html[:_HEAD_BYTES])
    in_page = (stated[1] or stated[2]).decode("ascii") if stated else ""
    declared = [sent_as or "", in_page]
    return decode(html, declared=reversed(declared) if declared[0].lower() in _BY_DEFAULT else declared)
