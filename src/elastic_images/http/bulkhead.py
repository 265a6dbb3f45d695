"""A bounded number of places, so that slow requests never take every thread."""

from __future__ import annotations

import threading
from collections import Counter

from elastic_images.core.errors import Unavailable


class Bulkhead:
    """`count` places. Callers that find none are refused at once: a queue would hold the threads we protect.

    Safe to share between threads.
    """

    def __init__(self, count: int, what: str) -> None:
        """`what` is under way in these places, for the error message."""
        self._free = threading.BoundedSemaphore(count)
        self._what = what

    def acquire(self) -> None:
        """Take a place. Raises Unavailable if all are taken."""
        if not self.try_acquire():
            raise Unavailable(f"Too many {self._what} are under way; try again in a moment.", retry_after_seconds=1)

    def try_acquire(self) -> bool:
        """Take a place if one is free, and return whether it was."""
        return self._free.acquire(blocking=False)

    def release(self) -> None:
        """Give back a place."""
        self._free.release()


class Shares:
    """Whose the places of a bulkhead are: a client may have half of them, and a few beyond that. Thread-safe."""

    def __init__(self, count: int, of_a_client: int, what: str) -> None:
        """As `Bulkhead`. `of_a_client`: how many a client may have once half of the places are taken."""
        self._half = count // 2
        self._of_a_client = of_a_client
        self._what = what
        self._lock = threading.Lock()
        self._taken = Counter[str]()

    def join(self, client: str) -> None:
        """Count a place as this client's. Raises Unavailable if it has its share."""
        with self._lock:
            if self._taken.total() >= self._half and self._taken[client] >= self._of_a_client:
                raise Unavailable(f"Too many {self._what} of yours are under way; try again in a moment.")
            self._taken[client] += 1

    def leave(self, client: str) -> None:
        """Give it back."""
        with self._lock:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
