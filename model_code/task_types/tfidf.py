"""TF-IDF, on which the baselines of several task types rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import regex

from model_code.task_types.words import UNSPACED

LONGEST_WORDS = 15  # characters on average: longer ones are sentences of a script without spaces
# Two letters or more, as scikit-learn has it, with their marks; where characters of a script without spaces
# stand apart, each of them.
_WORD = regex.compile(rf"[\w\p{{N}}]{{2,}}|[{UNSPACED}]")


MOST_FEATURES = 50_000
MOST_WEIGHTS = 10_000_000  # of a classifier on top: its optimizer keeps two dozen numbers for each


def tfidf(texts: Sequence[str], outputs: int = 1) -> Any:
    """A vectorizer at scikit-learn's usual settings, not yet fitted: words, or characters where texts like
    these have no spaces or no words. `outputs` are those of a classifier that reads the features."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    spaced = sum(map(len, texts)) <= LONGEST_WORDS * sum(len(text.split()) for text in texts)
    by_words = spaced and any(_WORD.search(text) for text in texts)
    units: dict[str, Any] = (
        {"tokenizer": _WORD.findall, "token_pattern": None}
        if by_words
        else {"analyzer": "char", "ngram_range": (1, 3)}
    )
    features = min(MOST_FEATURES, MOST_WEIGHTS // outputs)
    return TfidfVectorizer(sublinear_tf=True, max_features=features, **units)
