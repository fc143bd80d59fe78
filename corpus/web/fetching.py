"""Fetch over HTTP as a polite guest: robots.txt, a rate limit, and a bound for everything.

A server may stall, drip, redirect in circles, lie about lengths or ask to come back tomorrow: every request
ends within its time, and a host that does not answer is not asked for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx
from protego import Protego

from corpus.proxies import reach_directly
from corpus.reading.content_encoding import decoded_body
from corpus.reading.decoding import decode
from corpus.reading.skipped import Skipped
from corpus.web.links import normalised

USER_AGENT = "textmill"
MAX_REDIRECTS = 5
MAX_ATTEMPTS = 3
# What a server may ask for with Retry-After or Crawl-delay, once and in sum; beyond it, it is left alone.
LONGEST_WAIT = 60.0
LONGEST_WAIT_IN_SUM = 300.0
FAILURES_IN_A_ROW = 5
ROBOTS_BYTES = 512_000  # RFC 9309 asks for at least 500 KiB

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_COME_BACK = frozenset({429, 503})


class NotFetched(Skipped):
    """A page can't be had; `for_now` when it may be had another time."""

    def __init__(self, reason: str, detail: str, *, for_now: bool = False) -> None:
        super().__init__(reason, detail)
        self.for_now = for_now


@dataclass(frozen=True)
class Response:
    """What a server answered: status 200 with a body, or 304 without."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Client:
    """An HTTP client for some hosts; use it in a `with`.

    Args:
        hosts: `host` or `host:port`; no other is ever asked, redirected or not.
        requests_per_second: most requests to one host; its robots.txt may ask for fewer.
        seconds: the longest time for one request, from the connection to the last byte.
    """

    def __init__(self, hosts: frozenset[str], requests_per_second: float, seconds: float) -> None:
        self.hosts, self.seconds = hosts, seconds
        self._interval = dict.fromkeys(hosts, 1 / requests_per_second)
        self._next = dict.fromkeys(hosts, 0.0)
        self._waited = dict.fromkeys(hosts, 0.0)
        self._failures: Counter[str] = Counter()
        self._robots: dict[str, Protego | NotFetched] = {}

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        for host in self.hosts:
            reach_directly(urlsplit(f"//{host}").hostname or "")
        self._http = httpx.AsyncClient(
            headers={"user-agent": USER_AGENT, "accept-encoding": "gzip, deflate"},
            timeout=self.seconds,
            follow_redirects=False,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()

    def get(
        self,
        url: str,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        accepts: Callable[[str], bool] = lambda content_type: True,
    ) -> Response:
        """Fetch a page, given by its `normalised` address.

        Args:
            headers: more request headers, such as `If-None-Match`.
            accepts: whether a body of this media type is wanted; another one is not read.

        Raises:
            NotFetched: with the reason, whatever happens.
        """
        for _ in range(MAX_REDIRECTS + 1):
            self.check(url)
            answer = self._ask(url, max_bytes, headers or {}, accepts)
            if answer.status not in _REDIRECTS:
                return answer
            url = _target(url, answer)
        raise NotFetched("too many redirects", f"more than {MAX_REDIRECTS}")

    def check(self, url: str) -> None:
        """Ask only robots.txt, once per host.

        Raises:
            NotFetched: another host, or robots.txt forbids the page.
        """
        scheme, host, *_ = urlsplit(url)
        if host not in self.hosts:
            raise NotFetched("other host", f"{host} is not among the hosts of the recipe")
        if not self._rules(f"{scheme}://{host}").can_fetch(url, USER_AGENT):
            raise NotFetched("robots.txt", "forbids it")

    def _rules(self, origin: str) -> Protego:
        """The robots.txt of a host.

        Raises:
            NotFetched: it can't be had, which forbids everything (RFC 9309), or it asks for too long a delay.
        """
        if origin not in self._robots:
            try:
                self._robots[origin] = self._fetch_rules(origin)
            except NotFetched as refused:
                self._robots[origin] = refused
        rules = self._robots[origin]
        if isinstance(rules, NotFetched):
            raise NotFetched(rules.reason, rules.detail, for_now=rules.for_now)
        return rules

    def _fetch_rules(self, origin: str) -> Protego:
        url = f"{origin}/robots.txt"
        text = ""  # no robots.txt allows everything
        try:
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._ask(url, ROBOTS_BYTES, {}, lambda content_type: True)
                if answer.status not in _REDIRECTS:
                    text = _text_of(answer.body)
                    break
                url = _target(url, answer)
                if urlsplit(url).netloc not in self.hosts:
                    break
        except NotFetched as refused:
            if refused.reason not in ("not found", "no page"):
                detail = f"can't be read: {refused.reason}, {refused.detail}"
                raise NotFetched("robots.txt", detail, for_now=refused.for_now) from refused
        rules = Protego.parse(text)
        host, delay = urlsplit(origin).netloc, rules.crawl_delay(USER_AGENT) or 0
        if delay > LONGEST_WAIT:
            raise NotFetched(
                "robots.txt", f"asks for {delay:g} s between requests, more than {LONGEST_WAIT:g}"
            )
        self._interval[host] = max(self._interval[host], delay)
        return rules

    def _ask(
        self, url: str, max_bytes: int, headers: Mapping[str, str], accepts: Callable[[str], bool]
    ) -> Response:
        """One answer that is a page, a redirect or "not modified"; asks again when the server wants that."""
        host = urlsplit(url).netloc
        for _ in range(MAX_ATTEMPTS):
            if self._failures[host] >= FAILURES_IN_A_ROW:
                detail = f"{host} is left alone after {FAILURES_IN_A_ROW} failures in a row"
                raise NotFetched("unreachable", detail, for_now=True)
            self._wait_for_turn(host)
            try:
                answer = self._runner.run(self._request(url, max_bytes, headers, accepts))
            except (TimeoutError, httpx.TimeoutException):
                self._failures[host] += 1
                raise NotFetched(
                    "timeout", f"no whole answer within {self.seconds:g} s", for_now=True
                ) from None
            except httpx.RemoteProtocolError as error:
                raise NotFetched("broken answer", str(error), for_now=True) from error
            except httpx.InvalidURL as error:
                raise NotFetched("bad address", str(error)) from error
            except httpx.HTTPError as error:
                self._failures[host] += 1
                raise NotFetched("unreachable", str(error) or type(error).__name__, for_now=True) from error
            self._failures[host] = 0
            if answer.status not in _COME_BACK:
                return _usable(answer)
            self._come_back_later(host, answer)
        raise NotFetched("too busy", f"HTTP {answer.status}, {MAX_ATTEMPTS} times", for_now=True)

    async def _request(
        self, url: str, max_bytes: int, headers: Mapping[str, str], accepts: Callable[[str], bool]
    ) -> Response:
        async with (
            asyncio.timeout(self.seconds),
            self._http.stream("GET", url, headers=dict(headers)) as response,
        ):
            answer = Response(url, response.status_code, response.headers)
            if answer.status != 200:
                return answer
            if not accepts(answer.content_type):
                raise NotFetched("unsupported type", answer.content_type or "none stated")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise NotFetched("too large", f"more than {max_bytes:,} bytes")
        try:
            meant = decoded_body(bytes(body), response.headers.get("content-encoding", ""), max_bytes)
        except Skipped as problem:
            raise NotFetched(problem.reason, problem.detail) from problem
        return Response(url, 200, response.headers, meant)

    def _wait_for_turn(self, host: str) -> None:
        time.sleep(max(0.0, self._next[host] - time.monotonic()))
        self._next[host] = time.monotonic() + self._interval[host]

    def _come_back_later(self, host: str, answer: Response) -> None:
        """Do as Retry-After says, as far as that has bounds."""
        seconds = _retry_after(answer.headers.get("retry-after"))
        if seconds > LONGEST_WAIT or self._waited[host] + seconds > LONGEST_WAIT_IN_SUM:
            self._failures[host] = FAILURES_IN_A_ROW
            detail = f"HTTP {answer.status}, asks for {seconds:g} s of waiting"
            raise NotFetched("too busy", detail, for_now=True)
        self._waited[host] += seconds
        self._next[host] = max(self._next[host], time.monotonic() + seconds)


def _usable(answer: Response) -> Response:
    """The answer, if it is a page, a redirect or "not modified"."""
    if answer.status in (404, 410):
        raise NotFetched("not found", f"HTTP {answer.status}")
    if answer.status >= 500 or answer.status == 408:
        raise NotFetched("server error", f"HTTP {answer.status}", for_now=True)
    if answer.status not in (200, 304, *_REDIRECTS):
        raise NotFetched("no page", f"HTTP {answer.status}")
    return answer


def _text_of(body: bytes) -> str:
    """A robots.txt, which says UTF-8 and may have a byte-order mark."""
    try:
        return decode(body).text
    except Skipped:
        return body.decode("utf-8-sig", "replace")


def _target(url: str, redirect: Response) -> str:
    """Where a redirect leads."""
    location = redirect.headers.get("location", "")
    with suppress(ValueError):  # brackets that are no IPv6 address
        if target := normalised(urljoin(url, location)):
            return target
    raise NotFetched("bad address", f"a redirect to {location[:200]!r}")


def _retry_after(stated: str | None) -> float:
    """Seconds from a Retry-After header: a number, or a date; one second if it says nothing readable."""
    if stated and stated.strip().isdecimal():
        return float(stated)
    try:
        return max(0.0, (parsedate_to_datetime(stated or "") - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 1.0
