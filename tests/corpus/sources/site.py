"""A web site on loopback that does what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler], None]

BODY = (
    "The tide turned early that morning, and the boats that had lain on the mud since midnight lifted one "
    "after the other. Nobody on the quay said much; there was rope to coil, and the ice had not come."
)


def html(title: str, text: str = BODY, links: str = "") -> bytes:
    """A page with a navigation, a title and one paragraph about it."""
    return (
        f"<html><head><title>{title}</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<article><h1>{title}</h1><p>{title}. {text}</p>{links}</article></body></html>"
    ).encode()


class Site:
    """What is served: address -> content and headers, or a function that answers itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, tuple[bytes, dict[str, str]] | Behaviour] = {}
        self.asked: list[str] = []

    def put(self, path: str, content: bytes, kind: str = "text/html; charset=utf-8", **headers: str) -> None:
        """Serve this content, with an ETag."""
        stated = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (content, {"Content-Type": kind, "ETag": f'"{hash(content)}"'} | stated)

    def sitemap(self, path: str, *paths: str, lastmod: str = "") -> None:
        """Serve a sitemap of these pages."""
        changed = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
        urls = "".join(f"<url><loc>{self.url}{page}</loc>{changed}</url>" for page in paths)
        namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
        self.put(
            path, f"<?xml version='1.0'?><urlset xmlns='{namespace}'>{urls}</urlset>".encode(), "text/xml"
        )


@contextmanager
def serve() -> Iterator[Site]:
    """A site that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(self.path)
            page = site.pages.get(self.path)
            if callable(page):
                page(self)
            elif page is None:
                self.answer(404, b"no such page", {})
            elif page[1]["ETag"] == self.headers.get("If-None-Match"):
                self.answer(304, b"", page[1])
            else:
                self.answer(200, *page)

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
