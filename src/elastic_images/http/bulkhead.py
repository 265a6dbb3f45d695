"""A bounded number of places: so that what is slow never takes every thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from elastic_images.core.errors import Unavailable


class Bulkhead:
    """`count` places. Who finds none is refused at once, never queued: a queue would hold the threads we protect.

    Safe for concurrent use.
    """

    def __init__(self, count: int, what: str) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._what = what

    def take(self) -> None:
        """Take a place; give it back by `give_back`. Raises Unavailable where all are taken."""
        if not self._free.acquire(blocking=False):
            raise Unavailable(f"Too many {self._what} are under way; try again in a moment.", retry_after_seconds=1)

    def try_take(self) -> bool:
        """Take a place where there is one, and say whether."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """Free a place that was taken."""
        self._free.release()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place. Raises Unavailable where all are taken."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
