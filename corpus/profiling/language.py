"""The languages of some texts together, by CLD2; a single short one would often be mistaken."""

from __future__ import annotations

from collections.abc import Iterable

_TEXTS, _CHARACTERS = 500, 300  # as many as are looked at, and of each
_LEAST = 10  # per cent of the letters


def languages_in(texts: Iterable[str]) -> list[str]:
    """The names of up to three languages, the commonest first; none where it can't be told."""
    import pycld2

    sample = [text[:_CHARACTERS] for _, text in zip(range(_TEXTS), texts, strict=False)]
    # It refuses control characters and code points that stand for nothing.
    joined = "\n".join("".join(c if c.isprintable() else " " for c in text) for text in sample)
    try:
        _, _, found = pycld2.detect(joined.encode("utf-8", "ignore"), isPlainText=True, bestEffort=True)
    except pycld2.error:
        return []
    return [name.title() for name, code, share, _ in found if code != "un" and share >= _LEAST]
