"""The words of a text in any script, as figures and baselines compare them.

A word is letters and digits with their marks, such as the vowel signs of Hindi, Bengali and Tamil and the
points of Arabic and Hebrew, at which the words of Python's own `re` end. Without spaces between words, each
character is one.
"""

from __future__ import annotations

import unicodedata

import regex

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Besides Chinese, what is written without spaces: Thai, Lao, Burmese, Khmer, Japanese.
UNSPACED = rf"{HAN}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
# Signs that end a sentence before a space (of Hindi, Arabic and Urdu too), and such that need none.
SENTENCE_ENDS, OWN_SENTENCE_ENDS = ".!?।॥؟۔", "。！？"
_WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[[\w\p{{N}}]--[_{UNSPACED}]]+", regex.VERSION1)


def composed(text: str) -> str:
    """The text in NFC: our tokenizers write it so, whichever way the text that they learnt from was coded."""
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The words in their order, as they are written."""
    return [match.group() for match in _WORD.finditer(text)]


def first_words(text: str, count: int) -> str:
    """The text up to the end of its first `count` words."""
    ends = [match.end() for match in _WORD.finditer(text)]
    return text[: ends[count - 1]] if len(ends) > count else text


def is_unspaced(texts: str, script: str = UNSPACED) -> bool:
    """Whether most letters of a text are of the characters of `script`, by default those without spaces."""
    letters = len(regex.findall(r"\w", texts))
    return len(regex.findall(f"[{script}]", texts)) > letters / 2
