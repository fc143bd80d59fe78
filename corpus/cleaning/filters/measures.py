"""What the rules look at: every measure of every text of a batch, in compiled passes over its UTF-8.

Only the passes that hold a wanted measure are made: over characters and words (with n-grams on demand),
over lines (with C4's checks on demand), and over lines that look like code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.cleaning.filters.line_measures import C4_MEASURES, LINE_MEASURES, measure_lines
from corpus.cleaning.filters.plain import plain_measures
from corpus.cleaning.filters.repetition import Keys
from corpus.cleaning.filters.rule_sets import STOP_WORDS
from corpus.cleaning.filters.word_measures import (
    NGRAM_MEASURES,
    PHRASE_MEASURES,
    WORD_MEASURES,
    measure_words,
    stop_word_table,
)
from corpus.cleaning.text.characters import character_flags
from corpus.cleaning.text.utf8 import utf8_buffers

Measures = dict[str, npt.NDArray[np.float64]]

_BY_WORDS = (*WORD_MEASURES, *NGRAM_MEASURES, *PHRASE_MEASURES)
_BY_LINES = (*LINE_MEASURES, *C4_MEASURES)
_LANGUAGES = (*STOP_WORDS, "und")

# In RE2's syntax, for lines without the white space around them.
CODE_LINE = (
    "^(?:"
    + "|".join(
        [
            r">>>|\.\.\.(?:\s|$)|In \[|Out\[|\$ |# ",  # doctest, notebook, shell, comment
            r"@[\w.]+(?:\(.*\))?$",
            r"[-=+|~^*`_\s┌┐└┘├┤┬┴┼─│]{4,}$",  # table borders and rules
            r"\|.*\|$",  # table rows
            r"from\s+[\w.]+\s+import\s+\S|import\s+[\w.]+(?:\s+as\s+\w+)?\s*(?:[,;#].*)?$",
            r"def\s+\w+\(",
            r"class\s+\w+.*:$",
            r"[\w.\[\]'\"]+(?:,\s*[\w.\[\]'\"]+)*\s=\s\S",
            r"[\w.]+\(.*\)[;:]?$",
            r"[\[\](){},;\s]+$",
            r"[-+]?[\d.]+(?:e[-+]?\d+)?(?:[\s,;|]+[-+]?[\d.]+(?:e[-+]?\d+)?)+$",  # rows of numbers
            # Tags around a line, not in a sentence about them, and not placeholders: <PHONE>.
            r"(?:<[A-Z]*[a-z][^>]*>|<[A-Z]+\s[^>]*>|</[A-Za-z][^>]*>)(?:.*>)?$",
        ]
    )
    + ")"
)


def measure(texts: pa.StringArray, languages: Sequence[str], names: Collection[str]) -> Measures:
    """The measures `names` of `texts`, each float64 [n]; others may come along.

    Args:
        texts: n repaired texts without nulls.
        languages: n ISO 639-1 codes, or `und`; stop words depend on them.
        names: measures that `rule_sets.RULE_TABLE` mentions.
    """
    wanted, measured = set(names), Measures()
    data, offsets = utf8_buffers(texts)
    if wanted.intersection(_BY_WORDS):
        values = measure_words(
            data,
            offsets,
            character_flags(),
            _stop_words(),
            np.array([_LANGUAGES.index(language) for language in languages], np.int64),
            bool(wanted.intersection(NGRAM_MEASURES)),
            bool(wanted.intersection(PHRASE_MEASURES)),
        )
        measured.update(zip(_BY_WORDS, values.T, strict=True))
    if wanted.intersection(_BY_LINES):
        values = measure_lines(data, offsets, character_flags(), bool(wanted.intersection(C4_MEASURES)))
        measured.update(zip(_BY_LINES, values.T, strict=True))
    if "code" in wanted:
        measured["code"] = _code(texts)
    for name in wanted & plain_measures().keys():
        measured[name] = np.array([plain_measures()[name](text) for text in texts.to_pylist()], np.float64)
    return measured


def _code(texts: pa.StringArray) -> npt.NDArray[np.float64]:
    """Share of characters in lines that look like doctests, code, tables or rows of numbers, float64 [n]."""
    split = pc.split_pattern(texts, "\n")
    lines = pc.utf8_trim_whitespace(split.flatten())
    texts_of_lines = pc.list_parent_indices(split).to_numpy()
    lengths = pc.utf8_length(lines).to_numpy()
    code = pc.match_substring_regex(lines, CODE_LINE).to_numpy(zero_copy_only=False)
    of_code = np.bincount(texts_of_lines, lengths * code, len(texts))
    return of_code / np.maximum(np.bincount(texts_of_lines, lengths, len(texts)), 1)


@cache
def _stop_words() -> Keys:
    return np.stack([stop_word_table(STOP_WORDS.get(language, ())) for language in _LANGUAGES])
