"""Tags of tokens as BIO: each entity begins with B-, goes on with I-, and O stands for what is in none.

People have them in other spellings, which say the same: BIOES and BILOU mark the end of an entity and those
of one word, IOB1 (CoNLL-2003) begins an entity with I- unless it follows another of its type.
"""

from __future__ import annotations

from collections.abc import Sequence

OUTSIDE = "O"
_PLACES = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B"}


def as_bio(tags: Sequence[str]) -> list[str]:
    """The same entities in BIO; tags that are of none of these spellings stay as they are."""
    rewritten: list[str] = []
    before = OUTSIDE
    for tag in tags:
        place, dash, kind = tag.partition("-")
        if not dash or place not in _PLACES:
            rewritten.append(tag)
        else:
            goes_on = _PLACES[place] == "I" and before.partition("-")[2] == kind
            rewritten.append(f"{'I' if goes_on else 'B'}-{kind}")
        before = rewritten[-1]
    return rewritten
