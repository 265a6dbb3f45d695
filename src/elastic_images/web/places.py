"""A bounded number of places: so that slow uploads and a slow storage never take every thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elastic_images.core.errors import Unavailable

MAX_BODIES = 32
MAX_WAITING = 64
MAX_DRAINS = 8


class Places:
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many of a web process's threads may be held up by others at the same time.

    Their sum stays well below the number of threads: the rest answers hits and `/healthz`.
    """

    bodies: Places
    """Requests that are sending a body: uploads, above all."""
    waiting: Places
    """Requests without a body that wait for storage or for the autoscaler."""
    drains: Places
    """Refused uploads whose rest is read and thrown away."""


def default_bounds(bodies: int = MAX_BODIES, waiting: int = MAX_WAITING, drains: int = MAX_DRAINS) -> Bounds:
    """The bounds of one process."""
    return Bounds(
        bodies=Places(bodies, "uploads"), waiting=Places(waiting, "requests"), drains=Places(drains, "refused uploads")
    )
