"""Waiting for the pool to change, however many members poll at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_WATCH_SECONDS = 0.05


class ChangeWatch:
    """Lets any number of threads wait for a change while only one of them asks the database, 20 times a second.

    Safe to share between threads. Nothing runs while nobody waits.
    """

    def __init__(self, stamp: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._stamp = stamp
        self._clock = clock
        self._condition = threading.Condition()
        self._watching = False
        self._looked_at = float("-inf")
        self._last = ""

    def wait(self, seen: str, seconds: float) -> None:
        """Return once the stamp is not `seen`, or after `seconds`. Raises whatever `stamp` raises."""
        deadline = self._clock() + seconds
        while (now := self._clock()) < deadline:
            with self._condition:
                pause = self._pause(now)
                if pause > 0:
                    self._condition.wait(min(deadline - now, pause))
                else:
                    self._watching = True
            if pause <= 0:
                self._look()
            if self._last not in ("", seen):
                return

    def _pause(self, now: float) -> float:
        """How long to wait for another thread's look; 0 or less if it is this thread's turn."""
        return _WATCH_SECONDS if self._watching else self._looked_at + _WATCH_SECONDS - now

    def _look(self) -> None:
        current = ""
        try:
            current = self._stamp()
        finally:
            with self._condition:
                self._watching, self._looked_at, self._last = False, self._clock(), current
                self._condition.notify_all()
