"""One spelling of what names something: a label, a column of a table."""

from __future__ import annotations

import re
import unicodedata

# Marks that never change what a text says; joiners and variation selectors do, in Persian and in emoji.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def spelled(text: str) -> str:
    """The one spelling of a name: NFC, without invisible characters, every run of white space one space."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())
