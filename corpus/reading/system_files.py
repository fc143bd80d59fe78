"""Files that an operating system puts beside those of a person: they are no part of what was given."""

from __future__ import annotations

import re

# The Finder's, in folders, in zips and in tars; those of Windows' Explorer.
_OF_THE_SYSTEM = re.compile(
    r"(^|[/\\])(__MACOSX([/\\]|$)|(\._[^/\\]*|\.DS_Store|\.localized|Icon\r|(eh)?thumbs\.db|desktop\.ini)$)",
    re.IGNORECASE,
)


def is_of_the_system(path: str) -> bool:
    """Whether the Finder or the Explorer added this file, such as `__MACOSX/._name` or `Thumbs.db`."""
    return bool(_OF_THE_SYSTEM.search(path))
