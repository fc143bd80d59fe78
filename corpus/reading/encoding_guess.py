"""The encoding of text that is not Unicode: what `uchardet` finds, held to what people write."""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress
from functools import cache

import webencodings
from resiliparse.parse.encoding import detect_encoding

# Python's codec of what a label really means; as in https://encoding.spec.whatwg.org/#names-and-labels
_SUPERSET = {
    **dict.fromkeys(("ascii", "iso8859-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "cp936"), "gb18030"),
    **dict.fromkeys(("big5", "cp950"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift_jis_2004", "shift_jisx0213"), "cp932"),
    **dict.fromkeys(("euc_kr",), "cp949"),
    **{"iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"},
}
_EAST_ASIAN = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
_TEXT_CODEC = re.compile(r"(utf[-_](8|16|32)|cp|iso(8859|2022)|koi8|gb|big5|euc|shift|mac|tis)")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_TYPOGRAPHY = frozenset("–—―‘’‚“”„†‡•…‹›€£¥¢§¶©®™ª«»¬°±²³´µ·¸¹º¼½¾¿¡×÷¦¨¯¤№ˆ˜‰\xa0\xad")
_NOT_IN_WORDS = frozenset("\u201a\u201e\u2020\u2021\u02c6\u2030\u20ac\u2039\u203a¢£¥§©®°±²³¹¶¤¡¿¨¸¯¬¦¼½¾")
# With fewer bytes than this to go by, a Western detection says no more than "Western".
_FEW = 12
# Share of the characters that have to be common; in a wrong encoding half of them or fewer are.
_COMMON = 0.85
SAMPLE_CHARACTERS = 1 << 16


def strictly(raw: bytes, codec: str) -> str | None:
    """The text, None where a byte is none of the encoding's."""
    try:
        return raw.decode(codec)
    except (UnicodeError, LookupError):
        return None


def codec_of_label(label: str) -> str | None:
    """Python's codec for what a page or a file calls its encoding, None for one that is no text's."""
    label = label.strip("\"' \t")
    known = webencodings.lookup(label)
    # Python first: the web reads a few of its encodings as nothing (ISO-2022-KR) or in one byte order only.
    for name in (label, known.codec_info.name if known else label):
        with suppress(LookupError, ValueError):
            codec = codecs.lookup(name).name
            if _TEXT_CODEC.match(codec):
                return _SUPERSET.get(codec, codec)
    return None


def guessed(raw: bytes, hint: str | None) -> str | None:
    """The codec of text that is not Unicode, None when nothing fits well."""
    if hint and _fits(raw, hint, 0.5 if _high_bytes(raw) < 2 * _FEW else _COMMON):
        return hint
    detected = codec_of_label(detect_encoding(raw, html5_compatible=False) or "")
    if detected in _EAST_ASIAN and _fits(raw, detected):
        return detected
    common = {codec: _common_share(raw, codec) for codec in _EAST_ASIAN}
    best = max(common, key=common.__getitem__)
    if common[best] >= 0.95 and _high_bytes(raw) >= 4:
        return best
    if _is_broken_utf8(raw):
        return None
    if detected is None or detected in _EAST_ASIAN or detected.startswith("utf"):
        detected = "cp1252" if _high_bytes(raw) < _FEW else None
    elif _high_bytes(raw) < _FEW and not _is_of_another_script(raw, detected):
        return next((codec for codec in ("cp1252", detected) if _fits(raw, codec)), None)
    return detected if detected and _fits(raw, detected) else None


def _fits(raw: bytes, codec: str, least_common: float = _COMMON) -> bool:
    """Whether decoding gives what people write: common characters, or letters and typographic marks."""
    if codec in _EAST_ASIAN:
        return _common_share(raw, codec) >= least_common
    text = strictly(raw, codec)
    if text is None:
        return False
    foreign = [character for character in text if character > "\x7f"]
    letters = sum(unicodedata.category(c)[0] in "LM" or c in _TYPOGRAPHY for c in foreign)
    return letters >= 0.9 * len(foreign) and not _is_garbled(text[:SAMPLE_CHARACTERS])


def _is_garbled(text: str) -> bool:
    """Whether capitals and signs stand within words, as where a text of a Mac is read as one of Windows."""
    around = zip(f" {text}", text, f"{text[1:]} ", strict=False)
    foreign = [(before, here, after) for before, here, after in around if here > "\x7f"]
    odd = sum(
        before.islower() or (before.isupper() and after.islower())
        if here.isupper()
        else here in _NOT_IN_WORDS and before.isalpha() and after.isalpha()
        for before, here, after in foreign
    )
    return odd > 0.1 * len(foreign)


def _common_share(raw: bytes, codec: str) -> float:
    """Share of the characters outside ASCII that are common in East Asian text; 0 if undecodable."""
    text = strictly(raw, codec)
    foreign = [character for character in text or "" if character > "\x7f"]
    return sum(character in _common_characters() for character in foreign) / len(foreign) if foreign else 0.0


@cache
def _common_characters() -> frozenset[str]:
    """The first levels of GB 2312, Big5 and JIS X 0208, Hangul of KS X 1001, kana and punctuation."""
    trails = range(0xA1, 0xFF)
    rows = {
        "gb2312": [(lead, trail) for lead in (0xA1, 0xA3, *range(0xB0, 0xD8)) for trail in trails],
        "big5": [
            (lead, trail) for lead in (0xA1, *range(0xA4, 0xC7)) for trail in (*range(0x40, 0x7F), *trails)
        ],
        "euc_jp": [(lead, trail) for lead in (0xA1, 0xA4, 0xA5, *range(0xB0, 0xD0)) for trail in trails],
        "euc_kr": [(lead, trail) for lead in range(0xB0, 0xC9) for trail in trails],
    }
    return frozenset(
        bytes(pair).decode(codec, "ignore") for codec, pairs in rows.items() for pair in pairs
    ) - {""}


def _high_bytes(raw: bytes) -> int:
    return len(raw) - len(raw.translate(None, bytes(range(0x80, 0x100))))


def _is_broken_utf8(raw: bytes) -> bool:
    """Whether most of what is not ASCII would be UTF-8: then a byte is missing, not the encoding another."""
    return 2 * _high_bytes(_UTF8_SEQUENCE.sub(b"", raw)) < _high_bytes(raw)


def _is_of_another_script(raw: bytes, codec: str) -> bool:
    letters = [c for c in strictly(raw, codec) or "" if c > "\x7f" and c.isalpha()]
    return any("LATIN" not in unicodedata.name(letter, "") for letter in letters)
