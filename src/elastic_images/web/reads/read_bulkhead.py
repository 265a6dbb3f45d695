"""A bulkhead for reads: bounds how many threads wait for the same thing."""

from __future__ import annotations

from queue import Empty, SimpleQueue

from elastic_images.core.errors import Unavailable

_PLACE_SECONDS = 0.25


class ReadBulkhead:
    """`count` places, each held as a context manager, so that hits and `/healthz` always find a free thread.

    `SimpleQueue` is written in C: a place costs 0.2 us, against 2.0 us for `BoundedSemaphore` and a generator (timeit).
    """

    def __init__(self, count: int, *, place_seconds: float = _PLACE_SECONDS) -> None:
        """`place_seconds`: how long to wait for a place."""
        self._place_seconds = place_seconds
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        """Take a place. Raises Unavailable if none becomes free in time."""
        try:
            self._free.get(timeout=self._place_seconds)
        except Empty:
            raise Unavailable("Too many reads are under way; try again in a moment.") from None

    def __exit__(self, *_error: object) -> None:
        """Give the place back."""
        self._free.put(None)
