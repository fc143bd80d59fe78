"""Hides the labels' names in texts that would give the answer away, whether they hold one or lack it.

Every name of every label is replaced in all texts by the mask token of the corpus' tokenizer, which is that
of the model that reads them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import starmap
from pathlib import Path

import regex

MASK = "[MASK]"  # what stands for a name where the tokenizer has no token for what is hidden

# Scripts that write words without spaces, or (Hangul) endings without one: a name is one wherever it stands.
_JOINED = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}" + (
    r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}"
)
_LETTER = rf"[\p{{L}}\p{{M}}--[{_JOINED}]]"
_LETTER_OR_DIGIT = rf"[\p{{L}}\p{{M}}\p{{N}}--[{_JOINED}]]"
# Apostrophes, and hyphens.
_TWINS = ("'\u2018\u2019\u02bc", "\\-\u2010\u2011")
# Where the next part of a compound begins: myNumpy, HTTPServer; NumPyArray, PandasS3Store.
_PART_BEGINS = r"(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})"
_PART_ENDS = r"(?=\p{Lu}\p{Ll})|(?<=\p{Ll})(?=\p{Lu})"


def mask_of(tokenizer: Path) -> str:
    """What the tokenizer in a folder calls its mask token; `MASK` where it has none.

    Raises TrainingError when there is no tokenizer.
    """
    from model_code.data.vocabulary import load_tokenizer, vocabulary_of

    number = vocabulary_of(tokenizer).mask
    return MASK if number is None else load_tokenizer(tokenizer).id_to_token(number) or MASK


def hider(
    labels: Sequence[str], aliases: Mapping[str, Sequence[str]], mask: str = MASK
) -> Callable[[str], str]:
    """Replaces the labels and their other names in a text."""
    pattern = names_pattern({name for label in labels for name in (label, *aliases.get(label, ()))})
    return lambda text: pattern.sub(lambda _: mask, text)


def names_pattern(names: set[str]) -> regex.Pattern[str]:
    """Matches the names in any case, as words and as parts of identifiers (`is_torch_available`, `PyTorch`).

    A word ends where letters do; so do its parts at digits, `_`, `.` and the capital of a compound's next
    part. Letters are those of all scripts with their marks (`other` is not in `mother`, `cafe` not in
    `café`); in Chinese, Japanese, Thai and others that write words without spaces a name is found anywhere.
    """
    spelt = {
        form for name in names for form in (unicodedata.normalize(kind, name) for kind in ("NFC", "NFD"))
    }
    longest_first = sorted(spelt, key=lambda name: (-len(name), name))
    by_beginning: dict[str, list[str]] = {}
    for name in longest_first:
        by_beginning.setdefault(_beginning(name.strip()[0]), []).append(name)
    return regex.compile("|".join(starmap(_alternatives, by_beginning.items())), regex.VERSION1)


def _alternatives(beginning: str, names: list[str]) -> str:
    """A pattern for names that begin alike; a name of several words may be broken by the end of a line."""
    # Looking for their first characters first makes it ten times as fast.
    first = "".join(sorted({regex.escape(name.strip()[0]) for name in names}))
    spelt = (rf"(?i:{_spelt(name)}){_end(name.strip()[-1])}" for name in names)
    return f"(?=(?i:[{first}])){beginning}(?:{'|'.join(spelt)})"


def _spelt(name: str) -> str:
    return r"\s+".join("".join(map(_character, word)) for word in name.split())


def _character(character: str) -> str:
    """A pattern for a character, and for what word processors write in its place."""
    return next((f"[{twins}]" for twins in _TWINS if character in twins), regex.escape(character))


def _beginning(first: str) -> str:
    if regex.match(r"\p{N}", first):
        return rf"(?<!{_LETTER_OR_DIGIT})"
    return rf"(?:(?<!{_LETTER})|{_PART_BEGINS})" if _is_letter(first) else ""


def _end(last: str) -> str:
    if regex.match(r"\p{N}", last):
        return rf"(?!{_LETTER_OR_DIGIT})"
    return rf"(?:(?!{_LETTER})|{_PART_ENDS})" if _is_letter(last) else ""


def _is_letter(character: str) -> bool:
    return bool(regex.match(_LETTER, character, regex.VERSION1))
