"""Credentials are taken out of whatever a page, a log or a database keeps.

Three kinds are known: the user and password of an address, the values in an address that give access (signed
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
_PARAMETER = re.compile(
    r"(?<=[?&;])((?:[\w.-]*[_.-])?(?:token|secret|passw(?:or)?d|signature|credential|sig|api_?key))=[^&\s\"'<>#]+",
    re.IGNORECASE,
)
_VARIABLE = re.compile(
    r"(?:.*_)?(?:(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH)(?:_.*)?|API_?KEY|KEY|KEY_ID)",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text without credentials: those in addresses are cut out, values of variables become `***`."""
    text = _PARAMETER.sub(rf"\1={HIDDEN}", _USER.sub("", text))
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


def all_redacted(value: Any) -> Any:
    """A JSON value with every text in it redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: all_redacted(item) for name, item in value.items()}
    return [all_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def texts_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with its place: `collect.sources.0.path`."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts_in(item, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from texts_in(item, f"{place}.{number}".lstrip("."))


def _secrets() -> Iterator[str]:
    """What the environment holds in variables named after secrets, and as passwords in addresses."""
    for name, value in os.environ.items():
        if "://" in value:
            users = (match[0] for match in _USER.finditer(value))
            candidates = [user.removesuffix("@").partition(":")[2] for user in users]
        else:  # a path names a secret and is none
            candidates = [value] if _VARIABLE.fullmatch(name) and not value.startswith("/") else []
        # A word or a number stands in texts that have nothing to do with it.
        yield from (
            s for s in candidates if len(s) >= SHORTEST_SECRET and not s.isalpha() and not s.isdecimal()
        )
