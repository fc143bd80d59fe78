"""What kind of character each code point is, as one byte of flags that compiled code looks up."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE = 1  # white space, line ends too
WORD = 2  # letters, marks, digits and the underscore
LETTER = 4
ALPHANUMERIC = 8
SINGLE = 16  # a word of its own: scripts without spaces between words
HANGUL = 32
SYMBOL = 64  # of programming and mark-up
SENTENCE_END = 128

SYMBOLS = "#$%&*+/<=>@\\^_`{|}~[]"
# Sentence_Terminal of Unicode 15 for the scripts of `config.Language`, and a few that stand beside them.
SENTENCE_ENDS = ".!?؝؞؟۔।॥။‼‽⁇⁈⁉⸮。﹒﹖﹗！．？｡"
# Iteration mark and zero, kana, Han with extensions and compatibility forms, half-width kana; Thai and
# Lao, Burmese, Khmer. Korean puts spaces between words.
UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


@cache
def character_flags() -> npt.NDArray[np.uint8]:
    """The flags of every code point, uint8 [0x110000]."""
    flags = np.zeros(sys.maxunicode + 1, np.uint8)
    # The two planes of Han above are set as a whole; what lies beyond them is no text.
    everything = "".join("\0" if 0xD800 <= code < 0xE000 else chr(code) for code in range(0x20000))
    for found in re.finditer(r"\w+", everything):
        flags[found.start() : found.end()] = WORD | ALPHANUMERIC
        for code, character in enumerate(found.group(), found.start()):
            flags[code] |= LETTER * character.isalpha()
    marks = [code for code, character in enumerate(everything) if unicodedata.category(character)[0] == "M"]
    flags[marks] |= WORD
    flags[0x20000:0x40000] = WORD | ALPHANUMERIC | LETTER
    flags[ord("_")] &= ~np.uint8(ALPHANUMERIC)
    for found in re.finditer(r"\s", everything):
        flags[found.start()] |= SPACE
    for first, last in UNSPACED:
        flags[first : last + 1] |= SINGLE
    flags[0xAC00:0xD7A4] |= HANGUL
    for characters, flag in ((SYMBOLS, SYMBOL), (SENTENCE_ENDS, SENTENCE_END)):
        flags[[ord(character) for character in characters]] |= flag
    return flags
