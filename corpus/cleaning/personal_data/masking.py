"""Personal data and secrets are found, checked, and replaced by placeholders such as `<EMAIL>`.

Most texts hold nothing that any pattern could match. One compiled pass over the bytes of a batch marks the
places with a clue (an `@`, seven digits, a long token with digits, …), and the patterns of
`patterns.py` see only what stands around these.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from corpus.cleaning.config import PersonalData, PersonalDataConfig
from corpus.cleaning.personal_data import patterns
from corpus.cleaning.text.utf8 import utf8_buffers

# Clues: `@`, an `at` in brackets or ` AT `; seven digits with at most two separators between them; three
# dots between digits; a colon after four hexadecimal digits of which the first is 2 or 3; sixteen letters,
# digits, _ and - in a row, some of them digits; the first line of a PEM file; the word passport.
# Plain constants in calls would be types of their own to numba, and compile their callees once more.
_AT, _NUMBER, _DOTTED, _COLON, _TOKEN, _PEM, _PASSPORT = map(np.int64, range(7))
_NONE = np.int64(0)

# Bytes that a detector sees before and after a clue, of which the outer ones only show what a find stands
# next to: a mailbox name takes 64, an IBAN 42, and the word that says what a number is is looked for within
# 32 characters.
_MARGIN, _EDGE = 192, 96
_PEM_MARGIN = 20_000


class Find(NamedTuple):
    """Characters `start` to `end` of a text are personal data of one kind."""

    kind: PersonalData
    start: int
    end: int


class _Kind(NamedTuple):
    clues: tuple[np.int64, ...]
    detector: patterns.Detector


# Of two finds of the same length at one place, the kind named first wins.
_KINDS: dict[PersonalData, _Kind] = {
    "private_key": _Kind((_PEM,), patterns.private_key),
    "api_key": _Kind((_TOKEN, _AT), patterns.api_key),
    "email": _Kind((_AT,), patterns.email),
    "iban": _Kind((_NUMBER,), patterns.iban),
    "chinese_id": _Kind((_NUMBER,), patterns.chinese_id),
    "card": _Kind((_NUMBER,), patterns.card),
    "passport": _Kind((_NUMBER, _PASSPORT), patterns.passport),
    "ip_address": _Kind((_DOTTED, _COLON), patterns.ip_address),
    "phone": _Kind((_NUMBER,), patterns.phone),
}
_RANK = {kind: rank for rank, kind in enumerate(_KINDS)}
# Full-width digits, letters and signs as people type them in Chinese, odd spaces and dashes. Each stays one
# character, so that places stay.
_NARROW = {
    ord(narrow) + 0xFEE0: ord(narrow) for narrow in string.digits + string.ascii_letters + "@()+-./:=_"
}
_NARROW |= dict.fromkeys((0xA0, 0x3000), ord(" ")) | dict.fromkeys(range(0x2010, 0x2014), ord("-"))


def mask(
    texts: pa.StringArray, config: PersonalDataConfig
) -> tuple[pa.StringArray, dict[PersonalData, npt.NDArray[np.int32]]]:
    """Replace the personal data in `texts` by placeholders.

    Args:
        texts: n texts without nulls.
        config: the kinds to mask, and whether placeholders are numbered within a text.

    Returns:
        The texts, and by kind how many values were replaced in each: int32 [n].
    """
    counts: dict[PersonalData, npt.NDArray[np.int32]] = {
        kind: np.zeros(len(texts), np.int32) for kind in config.mask
    }
    changed, replacements = np.zeros(len(texts), bool), []
    for row, finds in sorted(_finds(texts, config.mask).items()):
        changed[row] = True
        replacements.append(_replaced(texts[row].as_py().encode(), finds, config.consistent))
        for find in finds:
            counts[find.kind][row] += 1
    if replacements:
        texts = pc.replace_with_mask(texts, pa.array(changed), pa.array(replacements, texts.type))
    return texts, counts


def find(text: str, kinds: Sequence[PersonalData] = tuple(_KINDS)) -> list[Find]:
    """All personal data of `kinds` in one text, in order; of two finds that overlap the longer."""
    content = text.encode()
    return [
        Find(kind, len(content[:start].decode()), len(content[:end].decode()))
        for finds in _finds(pa.array([text], pa.string()), kinds).values()
        for kind, start, end in finds
    ]


def _finds(texts: pa.StringArray, kinds: Sequence[PersonalData]) -> dict[int, list[Find]]:
    """Row -> the finds in that text, with places in bytes; only texts with any."""
    detectors: dict[np.int64, list[tuple[PersonalData, patterns.Detector]]] = defaultdict(list)
    for kind in kinds:
        for clue in _KINDS[kind].clues:
            detectors[clue].append((kind, _KINDS[kind].detector))
    content, bounds = utf8_buffers(texts)
    found: dict[int, list[Find]] = defaultdict(list)
    for row, clue, start, end in _windows(content, bounds, _CLASSES).tolist():
        if clue not in detectors:
            continue
        window = content[start:end].tobytes().decode()
        narrow = window if window.isascii() else window.translate(_NARROW)
        places = _places_of_characters(content[start:end])
        begin, end_of_text = int(bounds[row]), int(bounds[row + 1])
        for kind, detector in detectors[clue]:
            for first, last in detector(narrow):
                begins, ends = start + int(places[first]), start + int(places[last])
                # What lies at the edge of a window may be cut, and is found around its own clue.
                if (start == begin or begins >= start + _EDGE) and (end == end_of_text or ends < end):
                    found[row].append(Find(kind, begins - begin, ends - begin))
    return {row: _without_overlaps(finds) for row, finds in found.items()}


def _places_of_characters(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where each character of UTF-8 begins, and where the last one ends: int64 [characters + 1]."""
    return np.append(np.flatnonzero(content & 0xC0 != 0x80), len(content))


def _without_overlaps(found: list[Find]) -> list[Find]:
    kept: list[Find] = []
    for candidate in sorted(found, key=lambda find: (find.start, _RANK[find.kind])):
        if not kept or candidate.start >= kept[-1].end:
            kept.append(candidate)
        elif candidate.end - candidate.start > kept[-1].end - kept[-1].start:
            kept[-1] = candidate
    return kept


def _replaced(content: bytes, finds: Sequence[Find], consistent: bool) -> str:
    numbers: dict[PersonalData, dict[str, int]] = defaultdict(dict)
    pieces, end = [], 0
    for find in finds:
        name = find.kind.upper()
        if consistent:
            written = content[find.start : find.end].decode().translate(_NARROW)
            value = "".join(filter(str.isalnum, written.lower()))
            name = f"{name}_{numbers[find.kind].setdefault(value, len(numbers[find.kind]) + 1)}"
        pieces += [content[end : find.start], f"<{name}>".encode()]
        end = find.end
    return b"".join([*pieces, content[end:]]).decode()


def _byte_classes() -> npt.NDArray[np.uint8]:
    classes = np.zeros(256, np.uint8)
    for characters, group in (
        (string.ascii_letters, _LETTER),
        (string.digits, _DIGIT),
        ("_-", _JOINER),
        ("([{", _BRACKET),
    ):
        classes[list(characters.encode())] = group
    classes[0xC2:] = _WIDE
    return classes


_LETTER, _DIGIT, _JOINER, _BRACKET, _WIDE = range(1, 6)
_CLASSES = _byte_classes()
_PASSPORT_WORD, _PASSPORT_IN_CHINESE = b"assport", "护照".encode()
_BEGIN_WORD, _AT_WORD, _DOT_IN_BRACKETS = b"begin ", b"at", b".]"


@njit(cache=True, nogil=True)
def _windows(content, bounds, classes):  # type: ignore[no-untyped-def]  # compiled
    """Where there is a clue, with the margin around it: int64 [windows, 4] of row, clue, start, end.

    Windows of one clue don't overlap, and none begins or ends within a character.
    """
    texts = len(bounds) - 1
    # Two windows of one clue in one text are more than a margin apart.
    windows = np.empty((7 * (texts + (bounds[texts] - bounds[0]) // _MARGIN), 4), np.int64)
    last = np.full(7, -1, np.int64)
    count = _NONE
    for row in range(texts):
        begin, end = bounds[row], bounds[row + 1]
        position = begin
        digits = gap = dots = run = 0
        is_decimal = False
        number = token = begin  # where the number and the token begin that go on here
        token_has_digit = False
        last[:] = -1
        while position <= end:
            byte, width = np.int64(0), 1  # a text ends like a word
            if position < end:
                byte = np.int64(content[position])
            group = classes[byte]
            if group == _LETTER:
                digits = dots = run = 0
                is_decimal = False
                if byte | 32 == 112 and _is_word(content, position + 1, end, _PASSPORT_WORD):
                    count = _mark(windows, count, last, row, _PASSPORT, position, position + 8)
                position += 1
                continue
            if group == _WIDE:
                byte, width = _narrow(content, position, end)
                group = classes[byte]
            if group == _DIGIT:
                if digits == 0:
                    run = 0
                    number = position
                if gap:
                    run = 0
                gap, run, token_has_digit = 0, run + 1, True
                digits += not is_decimal
                position += width
                if digits >= 7:
                    count = _mark(windows, count, last, row, _NUMBER, number, position)
                if dots >= 3:
                    count = _mark(windows, count, last, row, _DOTTED, position - width, position)
                continue
            if group != _JOINER:
                if token_has_digit and position - token >= 16:
                    count = _mark(windows, count, last, row, _TOKEN, token, position)
                token, token_has_digit = position + width, False
            if byte == 64 or (group == _BRACKET and _is_word(content, position + 1, end, _AT_WORD)):
                count = _mark(windows, count, last, row, _AT, position, position + width)
            elif (
                byte == 32
                and position + 3 < end
                and content[position + 1] == 65
                and content[position + 2] == 84
            ):
                if content[position + 3] == 32:  # " AT "
                    count = _mark(windows, count, last, row, _AT, position, position + 4)
            elif group == _BRACKET and _is_word(content, position + 1, end, _DOT_IN_BRACKETS):
                count = _mark(windows, count, last, row, _DOTTED, position, position + 3)
            elif byte == 58 and _is_group(content, position, begin):
                count = _mark(windows, count, last, row, _COLON, position, position + width)
            elif byte == 45 and _is_word(content, position + 1, end, _BEGIN_WORD):
                count = _mark(windows, count, last, row, _PEM, position, position + _PEM_MARGIN)
            elif byte == 0xE6 and _is_word(content, position, end, _PASSPORT_IN_CHINESE):
                count = _mark(windows, count, last, row, _PASSPORT, position, position + 6)
            if byte == 46 and gap == 0 and run:  # .
                dots += 1
                # Telephone numbers have no group of one digit before a dot, but for the 1 of North America.
                is_decimal = run == 1 and (position == begin or content[position - 1] != 49)
            else:
                dots = 0
                is_decimal = False
            gap += 1
            if (
                is_decimal or gap > 2 or not (byte == 32 or byte == 40 or byte == 41 or 45 <= byte <= 47)
            ):  # space()-./
                digits = 0
            position += width
    for window in range(count):
        row = windows[window, 0]
        start, end = (
            max(windows[window, 2] - _MARGIN, bounds[row]),
            min(windows[window, 3] + _MARGIN, bounds[row + 1]),
        )
        while start > bounds[row] and content[start] & 0xC0 == 0x80:
            start -= 1
        while end < bounds[row + 1] and content[end] & 0xC0 == 0x80:
            end += 1
        windows[window, 2], windows[window, 3] = start, end
    return windows[:count]


@njit(cache=True, nogil=True)
def _mark(windows, count, last, row, clue, start, end):  # type: ignore[no-untyped-def]  # compiled
    """Note a clue, or let the last window of its kind reach to it; returns the number of windows."""
    window = last[clue]
    if window >= 0 and start - windows[window, 3] <= 2 * _MARGIN + 8:
        windows[window, 3] = max(windows[window, 3], end)
        return count
    # One by one: numba compiles the assignment of a row for two seconds.
    windows[count, 0], windows[count, 1] = row, clue
    windows[count, 2], windows[count, 3] = start, end
    last[clue] = count
    return count + 1


@njit(cache=True, nogil=True)
def _is_word(content, position, end, word):  # type: ignore[no-untyped-def]  # compiled
    """Whether the bytes of `word`, ASCII letters in either case, stand at `position`."""
    if position + len(word) > end:
        return False
    for byte in word:
        if content[position] != byte and content[position] | 32 != byte:
            return False
        position += 1
    return True


@njit(cache=True, nogil=True)
def _is_group(content, colon, begin):  # type: ignore[no-untyped-def]  # compiled
    """Whether four hexadecimal digits, the first of them 2 or 3, stand before a colon."""
    return (
        colon - begin >= 4
        and 50 <= content[colon - 4] <= 51
        and _is_hex(content[colon - 3])
        and _is_hex(content[colon - 2])
        and _is_hex(content[colon - 1])
    )


@njit(cache=True, nogil=True)
def _is_hex(byte):  # type: ignore[no-untyped-def]  # compiled
    return 48 <= byte <= 57 or 97 <= byte | 32 <= 102


@njit(cache=True, nogil=True)
def _narrow(content, position, end):  # type: ignore[no-untyped-def]  # compiled
    """The ASCII form of a full-width character, odd space or dash at `position`, else its byte; its width."""
    byte = np.int64(content[position])
    if byte == 0xC2 and position + 1 < end and content[position + 1] == 0xA0:
        return 32, 2
    if position + 2 < end:
        second, third = content[position + 1], np.int64(content[position + 2])
        if byte == 0xEF and second == 0xBC and third >= 0x81:
            return third - 0x60, 3
        if byte == 0xEF and second == 0xBD and third <= 0x9E:
            return third - 0x20, 3
        if byte == 0xE2 and second == 0x80 and 0x90 <= third <= 0x93:
            return 45, 3
        if byte == 0xE3 and second == 0x80 and third == 0x80:
            return 32, 3
    return byte, 1
