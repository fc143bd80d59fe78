"""Corpora that keep one token per word, back into text as people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from corpus.reading.options import TextStyle
from corpus.reading.skipped import Skipped

_UNKNOWN = "<unk>"
# A text with more unknown words than this is more holes than text.
_MOST_UNKNOWN = 0.1
_LEAST_TAGGED = 0.5
_BLANKS = re.compile(r"[ \t\r]+")
_LANGUAGE_PREFIX = re.compile(r"[a-z]{2,3}:")

# In this order; what a tokenizer put apart.
_JOINED = [
    (re.compile(r" ?@([-,.])@ ?"), r"\1"),
    (re.compile(r"(?<=\s)([.?!;:,])(?: +\1)+(?=\s|$)"), r"\1"),
    (re.compile(r"`` ?| ?''"), '"'),
    (re.compile(r"-LRB-|-lrb-"), "("),
    (re.compile(r"-RRB-|-rrb-"), ")"),
    (re.compile(r" (n't|'(?:s|m|d|re|ve|ll|S|M|D|RE|VE|LL))\b"), r"\1"),
    (re.compile(r"([(\[{$£€#]) +"), r"\1"),
    (re.compile(r" +([)\]},.;:!?%’]|\.\.\.)(?=[\s)\]}\"',.;:!?]|$)"), r"\1"),
]
_QUOTE = re.compile(r' *" *')
_HEADING = re.compile(r"\s*((?:= )+)(.+?)( =)+\s*")


def styled(text: str, style: TextStyle) -> tuple[str, dict[str, str]]:
    """The text of a corpus in that style as plain text, and what is worth noting of it.

    Raises:
        Skipped: it is not in that style, or too many of its words are unknown.
    """
    if style == "plain":
        return text, {}
    if style == "tagged":
        return _from_tagged(text), {}
    if style == "columns":
        return _from_columns(text), {}
    return _from_tokens(text)


def _from_tagged(text: str) -> str:
    """`The/at jury/nn said/vbd ./.` as "The jury said."; every line is a sentence, a blank one is nothing."""
    lines = [_words(line) for line in text.split("\n")]
    tokens = [token for line in lines for token in line]
    if sum("/" in token for token in tokens) < _LEAST_TAGGED * len(tokens):
        raise Skipped("another text style", "most words have no /TAG")
    return _joined(" ".join(map(_untagged, line)) for line in lines if line)


def _words(line: str) -> list[str]:
    """What stands between blanks; a no-break or ideographic space stands inside a word: 10 000."""
    return [word for word in _BLANKS.split(line) if word]


def _untagged(token: str) -> str:
    return token.rpartition("/")[0] or token


def _from_tokens(text: str) -> tuple[str, dict[str, str]]:
    words, unknown = len(text.split()), text.count(_UNKNOWN)
    if unknown > _MOST_UNKNOWN * words:
        raise Skipped("unknown words", f"{unknown} of {words} words are unknown tokens")
    joined = _joined(_without_heading_marks(line) for line in text.splitlines())
    return joined, {"unknown_words": str(unknown)} if unknown else {}


def _without_heading_marks(line: str) -> str:
    """` = = History = = ` as "History"."""
    heading = _HEADING.fullmatch(line)
    return heading[2] if heading else line.strip()


def _from_columns(text: str) -> str:
    """The first column of each line is a token, a blank line ends a sentence."""
    sentences: list[list[str]] = [[]]
    for line in text.split("\n"):
        if columns := _words(line):
            sentences[-1].append(_LANGUAGE_PREFIX.sub("", columns[0], count=1))
        else:
            sentences.append([])
    return _joined(" ".join(sentence) for sentence in sentences if sentence)


def _joined(lines: Iterable[str]) -> str:
    """Lines of tokens with a space between any two as lines of text."""
    text = "\n".join(lines)
    for pattern, replacement in _JOINED:
        text = pattern.sub(replacement, text)
    return "\n".join(_with_quotes(line) for line in text.split("\n"))


def _with_quotes(line: str) -> str:
    """Straight quotes next to what they enclose: the first of a pair opens, the second closes."""
    if '"' not in line or line.count('"') % 2:
        return line
    text, *parts = _QUOTE.split(line)
    for number, part in enumerate(parts):
        opens = number % 2 == 0
        before = " " if opens and text and text[-1] not in "([" else ""
        after = " " if not opens and part and part[0] not in ".,;:!?)]'" else ""
        text += f'{before}"{after}{part}'
    return text
