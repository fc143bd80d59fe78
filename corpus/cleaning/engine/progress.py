"""How far a cleaning is: all passes on one scale, so that the time left can be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Say = Callable[[dict[str, Any]], None]

# The part of the time that each pass takes, as measured on docstrings.
PASSES = {"counting lines": 0.07, "cleaning": 0.7, "finding duplicates": 0.15, "writing": 0.08}


class Progress:
    """Says `progress` events: `step` of `total` documents, the pass, and its bytes per second."""

    def __init__(self, documents: int, say: Say) -> None:
        self._documents, self._say = documents, say
        self._before = 0.0
        self._pass = ""

    def begin(self, name: str) -> None:
        """Go on to the pass of this name."""
        names = list(PASSES)
        self._before = sum(PASSES[earlier] for earlier in names[: names.index(name)])
        self._pass, self._started = name, time.monotonic()
        self._done = self._bytes = 0
        self.at(0.0)

    def advance(self, documents: int, size: int = 0) -> None:
        """So many more documents, of `size` bytes of text, are done in this pass."""
        self._done += documents
        self._bytes += size
        self.at(self._done / max(self._documents, 1))

    def at(self, share: float) -> None:
        """This share of the pass is done."""
        event = {
            "event": "progress",
            "phase": self._pass,
            "step": round(self._documents * (self._before + PASSES[self._pass] * share)),
            "total": self._documents,
        }
        if self._bytes:
            event["bytes_per_second"] = self._bytes / max(time.monotonic() - self._started, 1e-3)
        self._say(event)
