"""Repair of one text: mojibake, Unicode form, control characters, white space.

ftfy costs far more than all else in cleaning, so a text goes through it only when a cheap
pattern says that it could have something to repair.
"""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

# UTF-8 read as Latin-1 or Windows-1252 shows as a lead byte (Ã, â, ð, …) before another such
# character; HTML entities and C1 controls are ftfy's other findings that matter here.
_SUSPECT = re.compile(
    r"[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u2122]|&#?\w{2,8};|[\u0080-\u009f]|\ufffd"
)
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
_ASCII_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n")
_LINE_BREAK = re.compile(r"\r\n?|[\x0b\x0c\u0085\u2028\u2029]")
_ODD_SPACE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
# Only the start of a run may match: from every space of a long run it would be quadratic.
_LINE_END = re.compile(r"(?<![ \t\u3000])[ \t\u3000]++(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def repair(text: str) -> str:
    """`text` in NFC with mojibake undone, without invisible characters, with plain spaces and `\\n`.

    Spaces inside a line stay, as code and tables need them; at most one blank line in a row is kept.
    Full-width punctuation stays, as NFKC would rewrite Chinese.
    """
    # A pass over bytes or a substring search costs a tenth of a regular expression that finds nothing.
    if not text.isascii() or "&" in text:
        if _SUSPECT.search(text):
            text = _fix_encoding(text)
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
        text = _ODD_SPACE.sub(" ", text)
    if not text.isascii() or len(text.encode().translate(None, _ASCII_CONTROLS)) < len(text):
        text = _LINE_BREAK.sub("\n", text)
        text = _INVISIBLE.sub("", text)
    if " \n" in text or "\t\n" in text or "\u3000\n" in text:
        text = _LINE_END.sub("", text)
    return (_BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def _fix_encoding(text: str) -> str:
    import ftfy

    return ftfy.fix_text(text, _settings())


@cache
def _settings() -> "TextFixerConfig":
    import ftfy

    return ftfy.TextFixerConfig(
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,  # would turn Chinese punctuation into ASCII
        explain=False,
    )
