"""The next batch, made while the device works on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Calls a pure function of a place for the place after the last one, in a second thread."""

    def __init__(self, make: Callable[[int], Made]) -> None:
        """Nothing is made yet."""
        self._make = make
        self._thread = ThreadPoolExecutor(1, "batches")
        self._next: tuple[int, Future[Made]] | None = None

    def __call__(self, place: int) -> Made:
        """What `make` returns for a place; quick when the place follows the one asked for before."""
        expected, future = self._next or (place, self._thread.submit(self._make, place))
        if expected != place:
            future.cancel()
            future = self._thread.submit(self._make, place)
        made = future.result()
        self._next = (place + 1, self._thread.submit(self._make, place + 1))
        return made
