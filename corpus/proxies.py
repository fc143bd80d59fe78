"""Proxies as the environment names them, made to mean the same to every client below us.

httpx, requests, urllib, aiohttp and botocore each read HTTP_PROXY, ALL_PROXY and NO_PROXY in a way of their
own: one raises for an entry that another one needs, most know no networks, and some pass over ALL_PROXY or
SOCKS without a word. So the variables are put right once, for us and for whatever we start, and what a client
can't do is refused where it would be ignored.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from corpus.errors import RecipeError, SourceError

LOCAL = ("127.0.0.1", "localhost", "::1")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
WITHOUT = ("NO_PROXY", "no_proxy")
SCHEMES = ("http", "https", "socks5", "socks5h")
SOCKS = ("socks5", "socks5h")
# The networks of NO_PROXY; those of IPv6 stand only here, since httpx raises for them.
NETWORKS = "TEXTMILL_NO_PROXY_NETWORKS"


def variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What to set, so that each client finds the proxies that the environment means, and none for loopback.

    Raises:
        RecipeError: a proxy that no client of ours can speak to.
    """
    variables = dict(_proxies(environment))
    # Two clients know no ALL_PROXY; a SOCKS proxy they could not use anyway (`refuse_socks`).
    for every in ("ALL_PROXY", "all_proxy"):
        if urlsplit(variables.get(every, "")).scheme in ("http", "https"):
            for name in ("HTTP_PROXY", "HTTPS_PROXY"):
                if not (environment.get(name) or environment.get(name.lower())):
                    variables[name] = variables[every]
    without = _without(environment)
    networks = {entry for entry in [*without, *environment.get(NETWORKS, "").split(",")] if _network(entry)}
    variables[NETWORKS] = ",".join(sorted(networks))
    return variables | dict.fromkeys(WITHOUT, ",".join(entry for entry in without if not _is_of_ipv6(entry)))


def reach_directly(host: str) -> None:
    """Take a host out of the proxy's way where NO_PROXY names a network that it lies in.

    Call it before a client asks that host: none of them knows the networks of IPv6, few those of IPv4.
    """
    named = os.environ.get("NO_PROXY", "")
    if _lies_in(host, os.environ.get(NETWORKS, "")) and host not in named.split(","):
        os.environ.update(dict.fromkeys(WITHOUT, f"{named},{host}"))


def refuse_socks(url: str) -> None:
    """Refuse an address that would have to be reached through SOCKS, for clients that can't.

    Raises:
        SourceError: with the variable and the way out.
    """
    parts, proxies = urlsplit(url), getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all", "")
    if urlsplit(proxy).scheme in SOCKS and not proxy_bypass(parts.netloc.rpartition("@")[2]):
        raise SourceError(
            f"{url} would have to be read through the SOCKS proxy of the environment, which the client for "
            "buckets and files can't; name an HTTP proxy in HTTPS_PROXY, or the host in NO_PROXY"
        )


def _proxies(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        if not (value := environment.get(name, "").strip()):
            continue
        # GNOME's settings write the first form; the clients know the second.
        value = f"socks5://{value.removeprefix('socks://')}" if value.startswith("socks://") else value
        scheme = value.partition("://")[0].lower() if "://" in value else "http"
        if scheme not in SCHEMES or not _has_address(value):
            raise RecipeError(
                f"{name}={_shown(value)} is not a proxy that can be used: give http://HOST:PORT, https://, "
                "socks5:// or socks5h://, or unset it for textmill; nothing was started"
            )
        yield name, value


def _has_address(proxy: str) -> bool:
    if "://" not in proxy and "/" in proxy.rstrip("/"):
        return False  # http:/host
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none
        return False


def _shown(proxy: str) -> str:
    """Without the user and the password that may stand in it."""
    scheme, mark, rest = proxy.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _without(environment: Mapping[str, str]) -> list[str]:
    """Hosts and networks to reach without a proxy, in a form that no client stumbles over."""
    named = [entry for name in WITHOUT for entry in re.split(r"[,;\s]+", environment.get(name, ""))]
    cleaned = [entry for text in named if (entry := _entry(text))]
    return ["*"] if "*" in cleaned else list(dict.fromkeys([*cleaned, *LOCAL]))


def _entry(text: str) -> str:
    """An entry of NO_PROXY as the clients want it; "" for one that says nothing."""
    entry = text.removeprefix("*") if text.startswith("*.") else text
    if entry.startswith("["):  # an address of IPv6 as in a URL: without the brackets, and the port
        entry = entry[1:].partition("]")[0]
    if not entry.isascii():
        try:
            entry = entry.encode("idna").decode()
        except UnicodeError:
            return ""
    return entry


def _lies_in(host: str, networks: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # a name: clients compare it with names
    return any(address in network for entry in networks.split(",") if (network := _network(entry)))


def _is_of_ipv6(entry: str) -> bool:
    network = _network(entry)
    return network is not None and network.version == 6


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False) if "/" in entry else None
    except ValueError:
        return None  # http://host
