"""Who may compute a password hash now: each takes a core, and 19 MiB."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count

from elastic_images.core.errors import Unavailable

Place = Callable[[], AbstractContextManager[None]]
"""Takes a place: its block may compute."""
PARALLEL = max(1, (os.cpu_count() or 1) // 2)
"""How many strangers' passwords are checked at a time: half of the processors are left for everything else."""
_OF_ONE_SOURCE = 4
_OF_ALL_STRANGERS = 24
"""Fewer than there are places for forms, so that other forms and known people find one."""
_WAIT_SECONDS = 10.0
_LATELY_SECONDS = 60.0


class HashPlaces:
    """A few strangers (`PARALLEL`) compute at a time, and one person who is known by a cookie or session. Thread-safe.

    A stranger's place includes what is asked of the database, so that few compete for SQLite's one writer. An address
    has one place at a time. Of those that wait, an address with the fewest failures lately is next: a flood from others
    delays it by one password.
    """

    def __init__(self, parallel: int = PARALLEL) -> None:
        self._known = threading.Semaphore(1)
        self._line = _Line(parallel)
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[threading.Semaphore, int]] = {}
        """For each source its own place, and how many of its threads have or want it."""
        self._inside = 0

    @contextmanager
    def admitted(self, stranger: str | None) -> Iterator[Place]:
        """The block may check a password, in the place that it gets. `stranger` says from where; None: somebody known.

        Raises:
            Unavailable: too many are inside, or that one waited too long.
        """
        if stranger is None:
            yield self.known
            return
        with self._turn(stranger) as turn, _acquired(turn), self._line.place(stranger):
            yield nullcontext

    def failed(self, stranger: str) -> None:
        """A password from there was wrong."""
        self._line.failed(stranger)

    def known(self) -> AbstractContextManager[None]:
        """The place of people who are known."""
        return _acquired(self._known)

    @contextmanager
    def _turn(self, source: str) -> Iterator[threading.Semaphore]:
        with self._lock:
            turn, inside = self._turns.get(source, (threading.Semaphore(1), 0))
            if inside >= _OF_ONE_SOURCE or self._inside >= _OF_ALL_STRANGERS:
                raise _too_many()
            self._turns[source] = (turn, inside + 1)
            self._inside += 1
        try:
            yield turn
        finally:
            with self._lock:
                turn, inside = self._turns.pop(source)
                if inside > 1:
                    self._turns[source] = (turn, inside - 1)
                self._inside -= 1


class _Line:
    """Places for strangers, and those that wait for one. Thread-safe."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._changed = threading.Condition()
        self._waiting = set[tuple[int, int]]()
        """The least is next: by failures, then in order."""
        self._numbers = count()
        self._failures = Counter[str]()
        self._failures_since = time.monotonic()

    def failed(self, source: str) -> None:
        """It is served after those that failed less often lately."""
        with self._changed:
            if time.monotonic() - self._failures_since > _LATELY_SECONDS:
                self._failures, self._failures_since = Counter(), time.monotonic()
            self._failures[source] += 1

    @contextmanager
    def place(self, source: str) -> Iterator[None]:
        """A place while the block runs. Raises Unavailable if it takes too long."""
        with self._changed:
            me = (self._failures[source], next(self._numbers))
            self._waiting.add(me)
            got = self._changed.wait_for(lambda: self._free and min(self._waiting) == me, _WAIT_SECONDS)
            self._waiting.remove(me)
            self._changed.notify_all()  # another may be the first now
            if not got:
                raise _too_many()
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


@contextmanager
def _acquired(semaphore: threading.Semaphore) -> Iterator[None]:
    if not semaphore.acquire(timeout=_WAIT_SECONDS):
        raise _too_many()
    try:
        yield
    finally:
        semaphore.release()


def _too_many() -> Unavailable:
    return Unavailable("Too many people are logging in at once.", retry_after_seconds=5)
