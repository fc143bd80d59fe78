"""Hides the labels' names in texts that would give the answer away, or would by not having them.

Every name of every label is replaced by the tokenizer's mask token, in all texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

MASK = "[MASK]"
LONG_NAME = 5  # letters


def hider(labels: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> Callable[[str], str]:
    """Replaces the labels and their other names in a text."""
    pattern = names_pattern({name for label in labels for name in (label, *aliases.get(label, ()))})
    return lambda text: pattern.sub(MASK, text)


def names_pattern(names: set[str]) -> re.Pattern[str]:
    """Matches the names in any case, also inside compounds (`MlflowClient`, `is_torch_available`).

    Short names would also match in the middle of other words (`np` in "input"), so for them digits, `_`,
    `.` and the capital of a compound's next part end a word, and letters do not.
    """
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    # A name of several words may be broken by the end of a line.
    spelt = {name: r"\s+".join(map(re.escape, name.split())) for name in longest_first}
    anywhere = [spelt[name] for name in longest_first if len(name) >= LONG_NAME]
    as_words = [spelt[name] for name in longest_first if len(name) < LONG_NAME]
    word = rf"(?<![A-Za-z])(?i:{'|'.join(as_words)})(?:(?![A-Za-z])|(?=[A-Z][a-z]))" if as_words else ""
    return re.compile("|".join([*(f"(?i:{name})" for name in anywhere), *([word] if word else [])]))
