"""Who may compute a password hash now: each takes a core, and 19 MiB."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from elastic_images.core.errors import Unavailable

Place = Callable[[], AbstractContextManager[None]]
"""Takes a place: its block may compute."""
_PARALLEL = 2
_OF_ONE_SOURCE = 4
_OF_ALL_STRANGERS = 24
"""Fewer than there are places for forms, so that other forms and known people find one."""
_WAIT_SECONDS = 10.0


class HashPlaces:
    """Two strangers compute at a time, and one person who is known by a cookie or session. Thread-safe.

    An address has one place at a time, so a flood from a few addresses makes others wait for as many hashes, not more.
    """

    def __init__(self) -> None:
        self._known = threading.Semaphore(1)
        self._strangers = threading.Semaphore(_PARALLEL)
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[threading.Semaphore, int]] = {}
        """For each source its own place, and how many of its threads have or want it."""
        self._inside = 0

    @contextmanager
    def admitted(self, stranger: str | None) -> Iterator[Place]:
        """A place may be taken while the block runs. `stranger` says from where; None for somebody known.

        Raises:
            Unavailable: too many are inside, or later, while taking the place, that one waited too long.
        """
        if stranger is None:
            yield self.known
            return
        with self._turn(stranger) as turn:
            yield lambda: self._after(turn)

    def known(self) -> AbstractContextManager[None]:
        """The place of people who are known."""
        return _acquired(self._known)

    @contextmanager
    def _after(self, turn: threading.Semaphore) -> Iterator[None]:
        with _acquired(turn), _acquired(self._strangers):
            yield

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
