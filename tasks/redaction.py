"""Credentials are taken out of whatever a page, a log or a database keeps.

Three kinds are known: the user and password of an address, the values of an address that give access (signed
URLs, tokens), and what the environment calls a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

HIDDEN = "***"
SHORTEST_SECRET = 6  # characters; a shorter value would be found in words that mean something else

_USER = re.compile(r"(?<=://)[^\s/\"'<>]+@")
_SECRET_NAME = r"[\w.-]*(?:token|secret|passw(?:or)?d|signature|credential|api-?_?key|access_?key)[\w.-]*"
_PARAMETER = re.compile(rf"(?<=[?&])({_SECRET_NAME}|sig|key|auth)=[^&\s\"'<>#]+", re.IGNORECASE)
_VARIABLE = re.compile(rf"{_SECRET_NAME}|.*_KEY(_ID)?|.*_AUTH(_STRING)?", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://([^\s/]*)@")


def redacted(text: str) -> str:
    """The text with credentials replaced by `***`."""
    if "://" in text:
        text = _PARAMETER.sub(rf"\1={HIDDEN}", _USER.sub("", text))
    for secret in _secrets():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def all_redacted(value: Any) -> Any:
    """A JSON value with every text in it redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(str(name)): all_redacted(item) for name, item in value.items()}
    return [all_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def _secrets() -> Iterator[str]:
    """What the environment holds in variables named after secrets, and as passwords in addresses."""
    for name, value in os.environ.items():
        if _VARIABLE.fullmatch(name) and len(value) >= SHORTEST_SECRET and not os.path.exists(value):
            yield value
        for user in _IN_ADDRESS.findall(value):
            _, _, password = user.partition(":")
            if len(password) >= SHORTEST_SECRET:
                yield password
