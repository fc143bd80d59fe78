"""From where a request comes: what servers behind which a browser's owner sits ask of every one.

Listening on loopback keeps other machines out, not the pages that a browser on this one has open: those send
requests to any address, under any name that resolves to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a form of any page can send without asking first.
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an ASGI request, names in lower case.

    What is there twice is joined, and so equals nothing that is allowed.
    """
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        name, value = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def comes_from_elsewhere(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether a browser sends this for a page of another origin; links to our pages may be followed.

    Browsers name the origin with everything that changes something and with every WebSocket; with what only
    reads they tell in `Sec-Fetch-Site` how near it is. Programs send neither.
    """
    origin, method = headers.get("origin"), scope.get("method", "GET")
    if origin is not None:
        return origin not in (f"http://{headers['host']}", f"https://{headers['host']}")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        followed = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return not (followed and method in ("GET", "HEAD"))
    return method == "POST" and headers.get("content-type", "").lower().startswith(_FORM_TYPES)
