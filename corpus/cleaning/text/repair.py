"""Repair of texts: mojibake, Unicode form, control characters, white space.

`repair` defines what is done with one text. It costs far more than all else in cleaning, so
`repair_batch` first looks, in one pass over the bytes of the whole batch, which texts have anything
that it could change; in running prose few do.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from corpus.cleaning.config import RepairConfig
from corpus.cleaning.text.utf8 import code_point, utf8_buffers

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

# UTF-8 read as Latin-1 or Windows-1252 shows as a lead byte (Ã, â, ð, …) before another such
# character; HTML entities and C1 controls are ftfy's other findings that matter here.
_LEAD = "\u00c2-\u00f4"
_FOLLOWING = "\u0080-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u2122"
_ODD = "\u0080-\u009f\ufffd"
_SUSPECT = re.compile(rf"[{_LEAD}][{_FOLLOWING}]|&#?\w{{2,8}};|[{_ODD}]")
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
_LINE_BREAK = re.compile(r"\r\n?|[\x0b\x0c\u0085\u2028\u2029]")
_ODD_SPACE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_BLANK_LINES = re.compile(r"\n{3,}")
# ftfy may uncover what it could repair once more (an entity within an entity); it never needs a third turn.
_TURNS = 4

_LONGEST_ENTITY = 11  # bytes

CHANGES, LEADS, FOLLOWS, SPACE, ENTITY = 1, 2, 4, 8, 16


def repair(text: str, simplified_chinese: bool = False) -> str:
    """`text` in NFC with mojibake undone, without invisible characters, with plain spaces and `\\n`.

    Spaces inside a line stay, as code and tables need them; at most one blank line in a row is kept.
    Full-width punctuation stays, as NFKC would rewrite Chinese. Repairing twice changes nothing more.
    """
    for _ in range(_TURNS):
        before = text
        if (not text.isascii() or "&" in text) and _SUSPECT.search(text):
            text = _fix_encoding(text)
        if not text.isascii():
            text = _ODD_SPACE.sub(" ", unicodedata.normalize("NFC", text))
        text = _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text))
        text = "\n".join([line.rstrip(" \t\u3000") for line in text.split("\n")])
        text = _BLANK_LINES.sub("\n\n", text).strip()
        # In plain ASCII no step makes work for another.
        if text == before or (text.isascii() and "&" not in text):
            break
    return _simplified(text) if simplified_chinese else text


def repair_batch(texts: pa.StringArray, config: RepairConfig) -> pa.StringArray:
    """Every text of a batch as `repair` makes it; what needs no repair is not touched."""
    data, offsets = utf8_buffers(texts)
    damaged = _damaged(data, offsets, _look_up())
    if config.simplified_chinese:
        damaged |= _has_han(data, offsets)
    if not damaged.any():
        return texts
    mask = pa.array(damaged)
    repaired = [repair(text, config.simplified_chinese) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(repaired, pa.string()))


@njit(cache=True, nogil=True)
def _damaged(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], look_up: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Whether `repair` could change each text: never wrongly False, seldom wrongly True."""
    damaged = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(offsets) - 1):
        position, end = offsets[row], offsets[row + 1]
        line_breaks, previous = 0, np.uint8(SPACE)
        while position < end:
            if data[position] < 128:
                kind, size = look_up[data[position]], 1
            else:
                point, size = code_point(data, position)
                kind = look_up[point]
            is_break = data[position] == 10
            line_breaks = line_breaks + 1 if is_break else 0
            if (
                kind & CHANGES
                or (previous & LEADS and kind & FOLLOWS)
                or (is_break and previous & SPACE and line_breaks == 1)
                or (position == offsets[row] and (kind & SPACE or is_break))
                or line_breaks == 3
                or (kind & ENTITY and 59 in data[position : min(position + _LONGEST_ENTITY, end)])
            ):
                damaged[row] = True
                break
            previous = kind
            position += size
        else:
            damaged[row] = end > offsets[row] and (previous & SPACE or line_breaks > 0)
    return damaged


@cache
def _look_up() -> npt.NDArray[np.uint8]:
    """What each code point can be a sign of, as flags [0x110000]."""
    flags = np.zeros(0x110000, np.uint8)
    for point in (*range(0x80, 0x32000), *range(0xE0000, 0xE0200)):
        if 0xD800 <= point < 0xF900:  # surrogates and private use
            continue
        character = chr(point)
        # A combining mark may compose with what stands before it.
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            flags[point] |= CHANGES
        if character.isspace():
            flags[point] |= SPACE
    for first, last in ((0x1161, 0x1176), (0x11A8, 0x11C3)):  # Hangul vowels and finals compose too
        flags[first:last] |= CHANGES
    for point in _second_parts():
        flags[point] |= CHANGES
    changing = rf"[\r\x0b\x0c\u0085\u2028\u2029{_ODD}]|{_INVISIBLE.pattern}|{_ODD_SPACE.pattern}"
    for pattern, flag in ((changing, CHANGES), (f"[{_LEAD}]", LEADS), (f"[{_FOLLOWING}]", FOLLOWS)):
        for point in range(0x10000):
            if not 0xD800 <= point < 0xE000 and re.match(pattern, chr(point)):
                flags[point] |= flag
    flags[[9, 32]] |= SPACE
    flags[ord("&")] |= ENTITY
    return flags


def _second_parts() -> set[int]:
    """Characters without a combining class that yet compose with the one before them."""
    parts = (unicodedata.decomposition(chr(point)).split() for point in range(0x32000))
    return {int(part[1], 16) for part in parts if len(part) == 2 and not part[0].startswith("<")}


@njit(cache=True, nogil=True)
def _has_han(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each text has a byte that begins a Chinese character (U+3000 to U+9FFF, or beyond U+FFFF)."""
    has_han = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(offsets) - 1):
        for position in range(offsets[row], offsets[row + 1]):
            if 0xE3 <= data[position] <= 0xE9 or data[position] >= 0xF0:
                has_han[row] = True
                break
    return has_han


def _fix_encoding(text: str) -> str:
    import ftfy

    return ftfy.fix_text(text, _settings())


@cache
def _settings() -> TextFixerConfig:
    import ftfy

    return ftfy.TextFixerConfig(
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,  # would turn Chinese punctuation into ASCII
        explain=False,
    )


def _simplified(text: str) -> str:
    converted: str = _converter().convert(text)
    return converted


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")
