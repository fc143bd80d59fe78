"""Whether a text is written in a script that puts no spaces between words."""

import re

from corpus.cleaning.text.characters import UNSPACED

_UNSPACED = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in UNSPACED)}]")


def is_unspaced(text: str) -> bool:
    """Whether most letters of `text` are of such a script."""
    if text.isascii():
        return False
    return 2 * len(_UNSPACED.findall(text)) > sum(map(str.isalpha, text))
