"""Progress callbacks for the listing of a source; by default nobody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Watcher(Protocol):
    """What a source says while it lists; texts are plain, names and addresses in them as they are."""

    def say(self, message: str) -> None:
        """Something worth knowing."""

    def warn(self, message: str) -> None:
        """Something that a person may want to mend."""

    def progress(self, what: str) -> AbstractContextManager[Callable[..., None]]:
        """Shows what is done while a block runs; the block calls what it is given as `advance(n, note=…)`."""


class Nobody:
    """A watcher that hears nothing."""

    def say(self, message: str) -> None:
        """Nothing."""

    def warn(self, message: str) -> None:
        """Nothing."""

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[..., None]]:
        """Nothing."""
        yield lambda done, note="": None


NOBODY = Nobody()
