"""A bounded number of places, so that slow requests never take every thread."""

from __future__ import annotations

import threading

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
