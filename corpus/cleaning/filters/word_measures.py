"""What is measured of a text's characters, words and n-grams."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.cleaning.filters.repetition import (
    Integers,
    Keys,
    find_repeated,
    lengthen,
    repeated_ngrams,
    table_size,
    top_ngram,
)
from corpus.cleaning.text.characters import ALPHANUMERIC, HANGUL, LETTER, SINGLE, SPACE, SYMBOL, WORD
from corpus.cleaning.text.utf8 import code_point

WORD_MEASURES = (
    "size",
    "letters",
    "symbols",
    "unreadable",
    "content_words",
    "word_length",
    "hashes",
    "ellipses",
    "alphabetic_words",
    "stop_words",
    "newlines",
)
NGRAM_MEASURES = (
    "top_2_grams",
    "top_3_grams",
    "top_4_grams",
    "repeated_5_grams",
    "repeated_6_grams",
    "repeated_7_grams",
    "repeated_8_grams",
    "repeated_9_grams",
    "repeated_10_grams",
)
PHRASE_MEASURES = ("repeated_phrases",)
# Their columns.
(
    _SIZE,
    _LETTERS,
    _SYMBOLS,
    _UNREADABLE,
    _CONTENT_WORDS,
    _WORD_LENGTH,
    _HASHES,
    _ELLIPSES,
    _ALPHABETIC_WORDS,
    _STOP_WORDS,
    _NEWLINES,
    _NGRAMS,
) = range(12)
_PHRASES = _NGRAMS + len(NGRAM_MEASURES)
PHRASE = 5

_SEED = np.uint64(0x243F6A8885A308D3)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(29)
# A plain 0 in calls would be a type of its own to numba, and compile its callees once more.
_NONE: int = np.int64(0)  # type: ignore[assignment]
_BETWEEN, _IN_WORD, _IN_SYMBOLS, _ALONE = 0, 1, 2, 3
_REPLACEMENT = 0xFFFD
_STOP_SLOTS = 64  # bits of one integer


def stop_word_table(words: tuple[str, ...]) -> Keys:
    """Hashes of stop words (at most 32) by their lowest bits, uint64 [64]; 0 where there is none."""
    table = np.zeros(_STOP_SLOTS, np.uint64)
    for word in words:
        with np.errstate(over="ignore"):
            state = _SEED
            for character in word:
                state = (state ^ np.uint64(ord(character))) * _MULTIPLIER
            key = state ^ (state >> _FOLD)
        slot = int(key) % _STOP_SLOTS
        while table[slot]:
            slot = (slot + 1) % _STOP_SLOTS
        table[slot] = key
    return table


@njit(cache=True, nogil=True)
def measure_words(
    data: npt.NDArray[np.uint8],
    offsets: Integers,
    flags: npt.NDArray[np.uint8],
    stop_words: npt.NDArray[np.uint64],
    languages: Integers,
    ngrams: bool,
    phrases: bool,
) -> npt.NDArray[np.float64]:
    """WORD_, NGRAM_ and PHRASE_MEASURES of every text, float64 [n, measures].

    Args:
        data, offsets: see `utf8_buffers`.
        flags: see `character_flags`.
        stop_words: uint64 [languages, 64], see `stop_word_table`.
        languages: int64 [n], rows of `stop_words`.
        ngrams, phrases: whether these are measured; 0 otherwise.
    """
    values = np.zeros((len(offsets) - 1, _PHRASES + 1))
    longest = 1
    for row in range(len(values)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    # No more words than bytes; memory that no word reaches is never touched.
    keys, starts = np.empty(longest, np.uint64), np.zeros(longest + 1, np.int64)
    content = np.empty(longest, np.bool_)
    first, repeated = np.empty(longest, np.int64), np.empty(longest, np.bool_)
    counts = np.empty(longest, np.int64)
    slots, turn = np.zeros(16, np.int64), _NONE
    for row in range(len(values)):
        count, characters = _read_words(
            data,
            offsets[row],
            offsets[row + 1],
            flags,
            stop_words[languages[row]],
            keys,
            starts,
            content,
            values[row],
        )
        if (ngrams or phrases) and table_size(count) > len(slots):
            slots, turn = np.zeros(table_size(count), np.int64), _NONE
        if phrases:
            kept = _NONE
            for i in range(count):
                counts[kept] = np.int64(keys[i])
                kept += content[i]
            copy = counts[:kept].view(np.uint64)
            values[row, _PHRASES] = _repeated_phrases(copy, kept, first, repeated, slots, turn)
            turn += PHRASE
        if ngrams:
            _measure_ngrams(
                keys, starts, count, characters, first, repeated, counts, slots, turn, values[row, _NGRAMS:]
            )
            turn += 10
    return values


@njit(cache=True, nogil=True)
def _read_words(data, position, end, flags, stop_words, keys, starts, content, values):  # type: ignore[no-untyped-def]  # compiled
    """Fill keys, starts and content of the text's words and `values`; returns words and characters."""
    count = _NONE
    characters = visible = letters = symbols = lost = wide = newlines = hashes = ellipses = dots = 0
    content_words = content_characters = alphabetic_words = 0
    stop_bits = np.uint64(0)
    kind, seen, length, state = _BETWEEN, np.uint8(0), 0, _SEED
    previous = np.int64(32)
    while position <= end:
        if position == end:  # as if a space followed, so that the last word ends
            code, width, flag = np.int64(32), 1, np.uint8(SPACE)
        else:
            code, width = code_point(data, position)
            flag = flags[code]
            characters += 1
        position += width
        if flag & SPACE:
            now = _BETWEEN
            newlines += code == 10
        else:
            now = _ALONE if flag & SINGLE else _IN_WORD if flag & WORD else _IN_SYMBOLS
        if length and (now != kind or now == _ALONE):
            key = state ^ (state >> _FOLD)
            keys[count], content[count] = key, seen & ALPHANUMERIC != 0
            starts[count + 1] = starts[count] + length
            count += 1
            alphabetic_words += seen & LETTER != 0
            if seen & ALPHANUMERIC:
                content_words += 1
                content_characters += length
            slot = np.int64(key & np.uint64(_STOP_SLOTS - 1))
            while stop_words[slot] != 0:
                if stop_words[slot] == key:
                    stop_bits |= np.uint64(1) << np.uint64(slot)
                    break
                slot = (slot + 1) & (_STOP_SLOTS - 1)
            seen, length, state = np.uint8(0), 0, _SEED
        kind = now
        if now != _BETWEEN:
            state = (state ^ np.uint64(code)) * _MULTIPLIER
            seen |= flag
            length += 1
            visible += 1
            letters += flag & LETTER != 0
            # A rule, or the border of a table, is one symbol however long it is drawn.
            symbols += flag & SYMBOL != 0 and code != previous
            lost += code == _REPLACEMENT
            wide += flag & (SINGLE | HANGUL) != 0
            hashes += code == 35
            ellipses += code == 0x2026
        previous = np.int64(code)
        dots = dots + 1 if code == 46 else 0
        if dots == 3:
            ellipses += 1
            dots = 0
    stops = 0
    while stop_bits:
        stop_bits &= stop_bits - np.uint64(1)
        stops += 1
    values[_SIZE] = characters + 2 * wide
    values[_LETTERS] = letters / max(visible, 1)
    values[_SYMBOLS] = symbols / max(visible, 1)
    values[_UNREADABLE] = lost / max(visible, 1)
    values[_CONTENT_WORDS] = content_words
    values[_WORD_LENGTH] = content_characters / max(content_words, 1)
    values[_HASHES] = hashes / max(count, 1)
    values[_ELLIPSES] = ellipses / max(count, 1)
    values[_ALPHABETIC_WORDS] = alphabetic_words / max(count, 1)
    values[_STOP_WORDS] = stops
    values[_NEWLINES] = newlines / max(count, 1)
    return count, characters


@njit(cache=True, nogil=True)
def _measure_ngrams(keys, starts, count, characters, first, repeated, counts, slots, turn, values):  # type: ignore[no-untyped-def]  # compiled
    """Shares of the text's characters: the most frequent 2- to 4-gram, repeated 5- to 10-grams."""
    found = find_repeated(keys, count, first, repeated, slots, turn + 1)
    for size in range(2, min(count, 10) + 1):
        windows = count - size + 1
        if found:
            found = lengthen(keys, windows, first, repeated, slots, turn + size)
        if size <= 4:
            for i in range(windows):  # numba compiles an assignment to a slice for two seconds
                repeated[i] &= found
            values[size - 2] = top_ngram(starts, windows, size, first, repeated, counts) / characters
        elif found:
            values[size - 2] = repeated_ngrams(starts, windows, size, first, repeated, counts) / characters


@njit(cache=True, nogil=True)
def _repeated_phrases(keys, count, first, repeated, slots, turn):  # type: ignore[no-untyped-def]  # compiled
    """Share of windows of five words that occurred before; a shorter text is one window."""
    found = find_repeated(keys, count, first, repeated, slots, turn + 1)
    for size in range(2, PHRASE + 1):
        if not found or count < size:
            return 0.0
        found = lengthen(keys, count - size + 1, first, repeated, slots, turn + size)
    again = 0
    for i in range(count - PHRASE + 1):
        again += first[i] != i
    return again / max(count - PHRASE + 1, 1)
