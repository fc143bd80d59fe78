"""The language of texts: East Asian ones by script, plain English by its small words, all others by CLD2.

CLD2 (Compact Language Detector 2) carries its tables for 165 languages inside the package, so a text in
a language that the recipe does not name is recognised as such instead of being taken for its nearest
neighbour in the list.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from corpus.cleaning.config import ANY, Language
from corpus.cleaning.text.utf8 import code_point, utf8_buffers

UNKNOWN = "und"
_SAMPLE = 500  # characters; more do not change the answer but cost time

LATIN, CYRILLIC, ARABIC, HANGUL, KANA, HAN, OTHER = range(7)
_SCRIPT_OF = {"zh": HAN, "ja": HAN, "ko": HANGUL, "ru": CYRILLIC, "uk": CYRILLIC, "ar": ARABIC}
# The script's ranges of code points: Latin without its punctuation, then as Unicode's blocks are named.
_BLOCKS = np.array(
    [
        (0x41, 0x5A, LATIN),
        (0x61, 0x7A, LATIN),
        (0xC0, 0x24F, LATIN),
        (0x370, 0x3FF, OTHER),  # Greek
        (0x400, 0x52F, CYRILLIC),
        (0x530, 0x5FF, OTHER),  # Armenian, Hebrew
        (0x600, 0x6FF, ARABIC),
        (0x900, 0x10FF, OTHER),  # the scripts of South and South-East Asia, Georgian
        (0x1100, 0x11FF, HANGUL),
        (0x1780, 0x17FF, OTHER),  # Khmer
        (0x1E00, 0x1EFF, LATIN),
        (0x3040, 0x30FF, KANA),
        (0x3400, 0x4DBF, HAN),
        (0x4E00, 0x9FFF, HAN),
        (0xAC00, 0xD7A3, HANGUL),
        (0xF900, 0xFAFF, HAN),
        (0x20000, 0x3FFFF, HAN),
    ],
    np.int64,
)
# Small words that no other language of the Latin script has; of running English
# more than a sixteenth is made of them.
_ENGLISH = ("the", "and", "that", "this", "with", "which", "from", "are", "have", "should", "when", "returns")
_ENGLISH_SHARE = 1 / 16


def languages_of(texts: pa.StringArray, allowed: tuple[str, ...] | Literal["any"]) -> list[str]:
    """The ISO 639-1 code among `allowed` that each text is written in, `und` for none of them.

    The script must be one of the recipe's languages; among languages of one script CLD2 decides. Where it
    is not sure (short texts, code), the text counts as the recipe's first language of that script. Where the
    recipe takes any, it is what CLD2 holds for likeliest, or `und`.
    """
    is_any = allowed == ANY
    codes = get_args(Language) if is_any else allowed
    samples = pc.utf8_slice_codeunits(texts, 0, _SAMPLE)
    data, offsets = utf8_buffers(samples)
    scripts = _scripts(data, offsets, _BLOCKS)
    english = _is_english(data, offsets, _packed(_ENGLISH), _ENGLISH_SHARE).tolist()
    written_in = {
        script: [code for code in codes if _SCRIPT_OF.get(code, LATIN) == script]
        for script in range(-1, OTHER + 1)
    }
    languages = []
    for row, (script, kana) in enumerate(zip(*scripts.T.tolist(), strict=True)):
        candidates = written_in[script]
        if script == HAN:
            code = "ja" if kana else "zh"
            languages.append(code if code in candidates else UNKNOWN)
        elif script == HANGUL or not candidates:
            languages.append(candidates[0] if candidates else UNKNOWN)
        elif english[row] and "en" in candidates:
            languages.append("en")
        else:
            sample = data[offsets[row] : offsets[row + 1]].tobytes()
            languages.append(_detected(sample, candidates, UNKNOWN if is_any else candidates[0]))
    return languages


def _detected(sample: bytes, candidates: list[str], unsure: str) -> str:
    import pycld2

    try:
        sure, _, [(_, code, _, _), *_] = pycld2.detect(sample, isPlainText=True, bestEffort=True)
    except pycld2.error:  # it refuses some code points that are valid UTF-8
        return unsure
    if code in candidates:
        return str(code)
    return UNKNOWN if sure and code != "un" else unsure


def _packed(words: tuple[str, ...]) -> npt.NDArray[np.uint64]:
    """Words of at most eight ASCII letters as one number each, the way `_is_english` reads them."""
    return np.array(sorted(int.from_bytes(word.encode()) for word in words), np.uint64)


@njit(cache=True, nogil=True)
def _is_english(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], small: npt.NDArray[np.uint64], share: float
) -> npt.NDArray[np.bool_]:
    """Whether each text has at least two of the `small` words, and no fewer than `share` of all its words."""
    is_english = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(offsets) - 1):
        words, known, word, length = 0, 0, np.uint64(0), 0
        for position in range(offsets[row], offsets[row + 1] + 1):
            letter = np.uint64(32) | data[position] if position < offsets[row + 1] else np.uint64(0)
            # What is beyond ASCII belongs to a word too, so that no piece of one is taken for a small word.
            if 97 <= letter <= 122 or letter >= 128:
                word = word << np.uint64(8) | letter
                length += 1
            elif length:
                words += 1
                place = np.searchsorted(small, word)
                if length <= 8 and place < len(small) and small[place] == word:
                    known += 1
                word, length = np.uint64(0), 0
        is_english[row] = known >= 2 and known >= share * words
    return is_english


@njit(cache=True, nogil=True)
def _scripts(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each text the script of most letters (-1: none), and whether its Han letters are Japanese: [n, 2].

    A Han letter weighs three, as Chinese quotes Latin words at length. Half of running Japanese is
    kana; Chinese has some in a quoted name.
    """
    scripts = np.full((len(offsets) - 1, 2), -1, np.int64)
    for row in range(len(offsets) - 1):
        counts = np.zeros(7, np.int64)
        position = offsets[row]
        while position < offsets[row + 1]:
            point, size = code_point(data, position)
            position += size
            for block in range(len(blocks)):
                if point <= blocks[block, 1]:
                    if point >= blocks[block, 0]:
                        counts[blocks[block, 2]] += 1
                    break
        kana, han = counts[KANA], counts[HAN]
        counts[HAN] = 3 * han + kana
        counts[KANA] = 0
        most = 0
        for script in range(len(counts)):
            if counts[script] > most:
                scripts[row, 0], most = script, counts[script]
        scripts[row, 1] = np.int64(kana * 5 > kana + han)
    return scripts
