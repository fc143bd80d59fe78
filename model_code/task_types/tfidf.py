"""TF-IDF, on which the baselines of several task types rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LONGEST_WORDS = 15  # characters on average: longer ones are sentences of a script without spaces


def tfidf(texts: Sequence[str]) -> Any:
    """A vectorizer at scikit-learn's usual settings, not yet fitted: words, or characters where texts like
    these have no spaces."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    characters = sum(map(len, texts)) > LONGEST_WORDS * sum(len(text.split()) for text in texts)
    units: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 3)} if characters else {}
    return TfidfVectorizer(sublinear_tf=True, max_features=50_000, **units)
