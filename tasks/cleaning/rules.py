"""The filters: each measures one thing about one text, and has one bound in the config.

None needs words, so all of them hold for Chinese and Japanese too. After the heuristics of
Gopher (Rae et al. 2021, arXiv:2112.11446, A.1.1), plus code and tables, which docstrings are full of.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from tasks.cleaning.config import CleanConfig
from tasks.cleaning.words import UNSPACED

_ASCII_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SPACES = b" \t\n"
_SYMBOLS = b"#$%&*+/<=>@\\^_`{|}~[]"
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_BULLET = re.compile(r"\s*(?:[-*+•‣●○▪·]|\d{1,3}[.)])\s")
_CODE_LINE = re.compile(
    r"""(?:
        >>>|\.\.\.(?:\s|$)|In\ \[|Out\[|\$\ |\#\s             # doctest, shell, comment
      | @[\w.]+(?:\(.*\))?$
      | [-=+|~^*`_\s┌┐└┘├┤┬┴┼─│]{4,}$                          # table borders and rules
      | \|.*\|\s*$                                             # table rows
      | (?:from\s+[\w.]+\s+)?import\s+\w | def\s+\w+\( | class\s+\w+.*:\s*$
      | [\w.\[\]'"]+(?:,\s*[\w.\[\]'"]+)*\s=\s\S | [\w.]+\(.*\)[;:]?\s*$ | [\[\](){},;\s]+$
      | [-+]?[\d.]+(?:e[-+]?\d+)?(?:[\s,;|]+[-+]?[\d.]+(?:e[-+]?\d+)?)+\s*$   # rows of numbers
      | </?[A-Za-z][^>]*>
    )""",
    re.VERBOSE,
)


class Rule(NamedTuple):
    """A filter: `measure(text)` has to be at least, or at most, the config's value of `bound`."""

    name: str
    measure: Callable[[str], float]
    bound: str


def size(text: str) -> float:
    """Characters, an East Asian one counted as the three that it takes in an alphabet to say as much."""
    if text.isascii():
        return float(len(text))
    return float(len(text) + 2 * (len(UNSPACED.findall(text)) + len(_HANGUL.findall(text))))


def letters(text: str) -> float:
    """Share of letters of any script among the characters that are not white space."""
    if text.isascii():
        content = text.encode()
        visible = len(content.translate(None, _SPACES))
        return (len(content) - len(content.translate(None, _ASCII_LETTERS))) / max(visible, 1)
    visible = len("".join(text.split()))
    return sum(map(str.isalpha, text)) / max(visible, 1)


def symbols(text: str) -> float:
    """Share of programming and mark-up symbols among the characters that are not white space."""
    content = text.encode()
    visible = len(text) - text.count(" ") - text.count("\n") - text.count("\t")
    return (len(content) - len(content.translate(None, _SYMBOLS))) / max(visible, 1)


def repeated_lines(text: str) -> float:
    """Share of characters in lines that occurred before in the text; blank lines don't count."""
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if len(set(lines)) == len(lines):
        return 0.0
    total = sum(map(len, lines))
    return (total - sum(map(len, set(lines)))) / total


def bullet_lines(text: str) -> float:
    """Share of lines that begin with a bullet or a number, of three lines or more."""
    lines = [line for line in text.split("\n") if line]
    return sum(map(bool, map(_BULLET.match, lines))) / len(lines) if len(lines) >= 3 else 0.0


def ellipsis_lines(text: str) -> float:
    """Share of lines that break off with `...` or `…`, of three lines or more."""
    if "..." not in text and "…" not in text:
        return 0.0
    lines = [line for line in text.split("\n") if line]
    # A doctest's continuation prompt is not prose that breaks off.
    broken = [line for line in lines if line.endswith(("...", "…")) and len(line.strip()) > 3]
    return len(broken) / len(lines) if len(lines) >= 3 else 0.0


def code(text: str) -> float:
    """Share of characters in lines that look like doctests, code, tables or rows of numbers."""
    # Stripped, so that no pattern has to try every space of a long indentation.
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    return sum(len(line) for line in lines if _CODE_LINE.match(line)) / max(sum(map(len, lines)), 1)


RULES = (
    Rule("too_short", size, "min_characters"),
    Rule("too_long", size, "max_characters"),
    Rule("few_letters", letters, "min_letters"),
    Rule("symbols", symbols, "max_symbols"),
    Rule("repeated_lines", repeated_lines, "max_repeated_lines"),
    Rule("bullets", bullet_lines, "max_bullet_lines"),
    Rule("ellipses", ellipsis_lines, "max_ellipsis_lines"),
    Rule("code", code, "max_code"),
)


def first_failure(text: str, config: CleanConfig) -> tuple[str, float] | None:
    """Name and measured value of the first rule that `text` fails, or None."""
    for name, measure, bound in RULES:
        value, limit = measure(text), getattr(config, bound)
        if (value < limit) if bound.startswith("min_") else (value > limit):
            return name, round(value, 4)
    return None
