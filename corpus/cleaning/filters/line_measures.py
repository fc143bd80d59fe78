"""What is measured of a text's lines and paragraphs, and which lines C4 would keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.cleaning.filters.repetition import Integers, find_repeated, repeated_items, table_size
from corpus.cleaning.text.characters import SENTENCE_END, SINGLE, SPACE
from corpus.cleaning.text.utf8 import code_point

LINE_MEASURES = (
    "repeated_text",
    "listed_lines",
    "broken_lines",
    "bullet_lines",
    "ellipsis_lines",
    "repeated_paragraphs",
    "repeated_paragraph_text",
    "repeated_lines",
    "repeated_line_text",
    "punctuated_lines",
    "short_lines",
    "repeated_line_share",
)
C4_MEASURES = ("lorem_ipsum", "curly_brackets", "sentences")
# Their columns.
(
    _REPEATED_TEXT,
    _LISTED_LINES,
    _BROKEN_LINES,
    _BULLET_LINES,
    _ELLIPSIS_LINES,
    _REPEATED_PARAGRAPHS,
    _REPEATED_PARAGRAPH_TEXT,
    _REPEATED_LINES,
    _REPEATED_LINE_TEXT,
    _PUNCTUATED_LINES,
    _SHORT_LINES,
    _REPEATED_LINE_SHARE,
    _LOREM_IPSUM,
    _CURLY_BRACKETS,
    _SENTENCES,
) = range(15)
FEWEST_LINES = 5  # the shares of listed and of broken lines say nothing about fewer
SHORT_LINE = 30
MIN_LINE_WORDS = 3
LONGEST_WORD = 1000

_SEED = np.uint64(0x243F6A8885A308D3)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(29)
_ELLIPSIS = 0x2026
_FULL_STOP, _ZERO, _NINE = 0x2E, 0x30, 0x39
_BULLETS = np.array([*map(ord, "-*+•‣●○▪·")])
_CLOSING = np.array([*map(ord, "\"'”’)]」』）")])
_QUOTES = np.array([*map(ord, "\"'”’」』")])
# Plain constants in calls would be types of their own to numba, and compile their callees once more.
_NONE: int = np.int64(0)  # type: ignore[assignment]
_NOWHERE: int = np.int64(-1)  # type: ignore[assignment]

_FILLER, _SCRIPT, _BRACKET, _POLICY = 1, 2, 4, 8
_PHRASES = (
    b"lorem ipsum",
    b"javascript",
    b"{",
    b"terms of use",
    b"privacy policy",
    b"cookie policy",
    b"uses cookies",
    b"use of cookies",
    b"use cookies",
)
_PHRASE_KINDS = (_FILLER, _SCRIPT, _BRACKET, *[_POLICY] * 6)
_FIRST_BYTES = np.zeros(256, np.bool_)
_FIRST_BYTES[[byte for phrase in _PHRASES for byte in phrase[:1] + phrase[:1].upper()]] = True
_NOTES = (b"[edit]", b"[citation needed]")
_OPENING_BRACKET, _CLOSING_BRACKET = 0x5B, 0x5D


@njit(cache=True, nogil=True)
def measure_lines(
    data: npt.NDArray[np.uint8], offsets: Integers, flags: npt.NDArray[np.uint8], c4: bool
) -> npt.NDArray[np.float64]:
    """LINE_MEASURES and, with `c4`, C4_MEASURES of every text, float64 [n, measures].

    Texts are as `repair` leaves them: lines end in a line feed and without other white space.
    """
    values = np.zeros((len(offsets) - 1, _SENTENCES + 1))
    most = _NONE
    for row in range(len(values)):
        lines = 2
        for position in range(offsets[row], offsets[row + 1]):
            lines += data[position] == 10
        most = max(most, lines)
    # Of lines, of lines without indentation, and of paragraphs.
    keys, lengths = np.empty((3, most), np.uint64), np.empty((3, most), np.int64)
    first, repeated = np.empty(most, np.int64), np.empty(most, np.bool_)
    slots, turn = np.zeros(table_size(most), np.int64), _NONE
    for row in range(len(values)):
        begin, end = offsets[row], offsets[row + 1]
        count, paragraphs, characters = _read_lines(data, begin, end, flags, c4, keys, lengths, values[row])
        visible = 0
        for i in range(count):
            visible += lengths[1, i]
        find_repeated(keys[0], count, first, repeated, slots, turn + 1)
        items, length = repeated_items(lengths[0], count, first)
        values[row, _REPEATED_LINES] = items / max(count, 1)
        values[row, _REPEATED_LINE_TEXT] = length / max(characters, 1)
        values[row, _REPEATED_LINE_SHARE] = length / max(values[row, _REPEATED_LINE_SHARE], 1)
        find_repeated(keys[1], count, first, repeated, slots, turn + 2)
        items, length = repeated_items(lengths[1], count, first)
        values[row, _REPEATED_TEXT] = length / max(visible, 1)
        find_repeated(keys[2], paragraphs, first, repeated, slots, turn + 3)
        items, length = repeated_items(lengths[2], paragraphs, first)
        values[row, _REPEATED_PARAGRAPHS] = items / max(paragraphs, 1)
        values[row, _REPEATED_PARAGRAPH_TEXT] = length / max(characters, 1)
        turn += 3
    return values


@njit(cache=True, nogil=True)
def _read_lines(data, begin, end, flags, c4, keys, lengths, values):  # type: ignore[no-untyped-def]  # compiled
    """Fill keys and lengths of lines and paragraphs, and `values`; returns lines, paragraphs, characters."""
    lines = paragraphs = characters = breaks = _NONE  # lines that hold something; line feeds
    listed = broken = bulleted = cut_off = punctuated = short = 0
    length = indent = dots = 0
    first_visible, last_end, last = _NOWHERE, begin, np.int64(0)
    state = key = _SEED
    paragraph_state, paragraph_length = _SEED, 0
    position = begin
    while position <= end:
        if position == end:
            code, width = np.int64(10), 1
        else:
            code, width = code_point(data, position)
            characters += 1
        position += width
        if code != 10:
            length += 1
            state = (state ^ np.uint64(code)) * _MULTIPLIER
            if flags[code] & SPACE:
                if first_visible < 0:
                    indent, state = length, _SEED
                continue
            if first_visible < 0:
                first_visible = position - width
            joined = last_end == position - width
            dots = (dots * joined + 1) * (code == _FULL_STOP)
            last, last_end, key = code, position, state
            continue
        breaks += position <= end
        if first_visible >= 0:
            key ^= key >> _FOLD
            keys[1, lines], lengths[1, lines] = key, length - indent
            keys[0, lines], lengths[0, lines] = key + np.uint64(indent), length
            lines += 1
            opening = code_point(data, first_visible)[0]
            ellipsis = dots >= 3 or last == _ELLIPSIS
            bulleted += opening == 0x2022 or opening == 45
            listed += _is_listed(data, first_visible, last_end, flags)
            cut_off += ellipsis
            # A doctest's continuation prompt is not prose that breaks off.
            broken += ellipsis and length - indent > 3
            punctuated += flags[last] & SENTENCE_END != 0
            short += length <= SHORT_LINE
            if c4:
                _measure_c4(data, first_visible, last_end, flags, values)
            paragraph_state = (paragraph_state ^ keys[0, lines - 1]) * _MULTIPLIER
            paragraph_length += length + (paragraph_length > 0)
        if paragraph_length and (first_visible < 0 or position > end):
            keys[2, paragraphs], lengths[2, paragraphs] = paragraph_state, paragraph_length
            paragraphs += 1
            paragraph_state, paragraph_length = _SEED, 0
        first_visible, last_end, last = _NOWHERE, position, np.int64(0)
        state, length, indent, dots = _SEED, 0, 0, 0
    if lines >= FEWEST_LINES:
        values[_LISTED_LINES] = listed / lines
        values[_BROKEN_LINES] = broken / lines
    values[_BULLET_LINES] = bulleted / (breaks + 1)
    values[_ELLIPSIS_LINES] = cut_off / (breaks + 1)
    values[_PUNCTUATED_LINES] = punctuated / max(lines, 1)
    values[_SHORT_LINES] = short / max(lines, 1)
    values[_REPEATED_LINE_SHARE] = characters - breaks
    return lines, paragraphs, characters


@njit(cache=True, nogil=True)
def _is_listed(data, position, end, flags):  # type: ignore[no-untyped-def]  # compiled
    """Whether the line begins with a bullet, or up to three digits and `.` or `)`, and a space."""
    code, width = code_point(data, position)
    if _among(_BULLETS, code):
        position += width
    else:
        digits = 0
        while position < end and digits < 3 and _ZERO <= data[position] <= _NINE:
            digits += 1
            position += 1
        if digits == 0 or position >= end or (data[position] != 46 and data[position] != 41):
            return False
        position += 1
    return position < end and flags[code_point(data, position)[0]] & SPACE != 0


@njit(cache=True, nogil=True)
def _measure_c4(data, begin, end, flags, values):  # type: ignore[no-untyped-def]  # compiled
    """Add one line to the C4_MEASURES: the sentences of lines that C4 keeps, and what condemns a text."""
    words = longest = length = 0
    position = begin
    while position <= end:
        code, width = code_point(data, position) if position < end else (np.int64(32), 1)
        position += width
        if flags[code] & (SPACE | SINGLE):
            words += (length > 0) + (flags[code] & SINGLE != 0)
            longest, length = max(longest, length), 0
        else:
            length += 1
    if words < MIN_LINE_WORDS or longest > LONGEST_WORD:
        return
    end = _without_citations(data, begin, end)
    if not _ends_a_sentence(data, begin, end, flags):
        return
    phrases = _phrases_in(data, begin, end)
    if phrases & _FILLER:
        values[_LOREM_IPSUM] += 1
    elif phrases & (_SCRIPT | _BRACKET) == _BRACKET:
        values[_CURLY_BRACKETS] += 1
    elif not phrases:
        values[_SENTENCES] += _sentences_in(data, begin, end, flags)


@njit(cache=True, nogil=True)
def _without_citations(data, begin, end):  # type: ignore[no-untyped-def]  # compiled
    """The end of the line before any `[12]`, `[edit]` and `[citation needed]` at its end."""
    while end > begin and data[end - 1] == _CLOSING_BRACKET:
        bracket = end - 2
        while bracket >= begin and _ZERO <= data[bracket] <= _NINE:
            bracket -= 1
        if bracket < begin or data[bracket] != _OPENING_BRACKET:
            for note in range(len(_NOTES)):
                bracket = end - len(_NOTES[note])
                if _is_at(data, bracket, _NOTES[note], begin, end):
                    break
            else:
                return end
        end = bracket
    return end


@njit(cache=True, nogil=True)
def _ends_a_sentence(data, begin, end, flags):  # type: ignore[no-untyped-def]  # compiled
    """Whether the line ends with a terminal mark or a quotation mark, and not with `...`."""
    if end <= begin or (end - begin >= 3 and data[end - 1] == data[end - 2] == data[end - 3] == 46):
        return False
    position = end - 1
    while position > begin and data[position] & 0xC0 == 0x80:
        position -= 1
    code = code_point(data, position)[0]
    return flags[code] & SENTENCE_END != 0 or _among(_QUOTES, code)


@njit(cache=True, nogil=True)
def _phrases_in(data, begin, end):  # type: ignore[no-untyped-def]  # compiled
    """Which kinds of `_PHRASES` the line holds, in any case, as bits."""
    found = 0
    for position in range(begin, end):
        if _FIRST_BYTES[data[position]]:
            for phrase in range(len(_PHRASES)):
                if _is_at(data, position, _PHRASES[phrase], begin, end):
                    found |= _PHRASE_KINDS[phrase]
    return found


@njit(cache=True, nogil=True)
def _is_at(data, position, phrase, begin, end):  # type: ignore[no-untyped-def]  # compiled
    """Whether a phrase in lower case stands at `position`, in any case."""
    if position < begin or position + len(phrase) > end:
        return False
    for i in range(len(phrase)):
        byte = data[position + i]
        if phrase[i] != (byte | 0x20 if 65 <= byte <= 90 else byte):
            return False
    return True


@njit(cache=True, nogil=True)
def _among(codes, code):  # type: ignore[no-untyped-def]  # compiled
    for other in codes:  # noqa: SIM110  # numba compiles no generator
        if other == code:
            return True
    return False


@njit(cache=True, nogil=True)
def _sentences_in(data, position, end, flags):  # type: ignore[no-untyped-def]  # compiled
    """Sentences of a line: they end with terminal and closing marks before a space, or after a wide mark."""
    sentences, open_sentence = 0, False
    while position < end:
        code, width = code_point(data, position)
        position += width
        if flags[code] & SPACE:
            continue
        open_sentence = True
        if flags[code] & SENTENCE_END == 0:
            continue
        wide = code > 0x3000
        while position < end:
            code, width = code_point(data, position)
            if flags[code] & SENTENCE_END == 0 and not _among(_CLOSING, code):
                break
            wide |= code > 0x3000 and flags[code] & SENTENCE_END != 0
            position += width
        if wide or position == end or flags[code_point(data, position)[0]] & SPACE:
            sentences += 1
            open_sentence = False
    return sentences + open_sentence
