"""A real Chromium without a window, driven through the WebDriver protocol by plain HTTP."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.free_ports import free_ports

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
SECONDS = 60.0


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def visit(self, url: str) -> None:
        """Go there, and wait until the page has loaded."""
        self._post("url", {"url": url})

    @property
    def address(self) -> str:
        """Where the window is now."""
        return str(httpx.get(f"{self._session}/url", timeout=SECONDS).json()["value"])

    def run(self, script: str) -> Any:
        """What a script returns; it ends by calling `done(value)`."""
        script = f"const done = arguments[0]; {script}"
        return self._post("execute/async", {"script": script, "args": []})

    def press(self, *keys: str) -> None:
        """Press keys one after the other, each a character (WebDriver, section 17.4.2, names the others)."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._post("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def look_like(self, width: int, scheme: str) -> None:
        """Be a window so many pixels wide, on a system whose colours are `light` or `dark`."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", {"features": [feature]})

    def wait_for(self, text: str) -> str:
        """The text of the page as soon as it contains `text`; fails after a minute."""
        deadline = time.monotonic() + SECONDS
        while text not in (seen := str(self.run("done(document.body.innerText)"))):
            assert time.monotonic() < deadline, f"{self.address} has no {text!r}: {seen}"
            time.sleep(0.2)
        return seen

    def _command(self, name: str, parameters: dict[str, Any]) -> None:
        self._post("goog/cdp/execute", {"cmd": name, "params": parameters})

    def _post(self, what: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(f"{self._session}/{what}", json=body, timeout=SECONDS).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; the test is skipped where there is none."""
    driver = shutil.which("chromedriver")
    if not driver or not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        transport = httpx.HTTPTransport(retries=8)  # until the driver listens
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, transport=transport
        ) as client:
            session = client.post("/session", json=wanted).json()["value"]["sessionId"]
            try:
                yield Browser(f"http://127.0.0.1:{port}/session/{session}")
            finally:
                client.delete(f"/session/{session}")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stranger(page: str) -> Iterator[str]:
    """The address of another user's server on this machine, which answers everything with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
