"""Circuit breakers: a server that failed is left alone for a while, so it costs time only once."""

from __future__ import annotations

import threading
from collections.abc import Callable

OPEN_SECONDS = 1.0


class CircuitBreakers:
    """One breaker for each name. Safe to share between threads.

    After `failures` in a row a name is blocked for `open_seconds`. Then one caller may try while the others wait for
    its result (the half-open state of the pattern: M. Nygard, "Release It!").
    """

    def __init__(self, clock: Callable[[], float], *, failures: int = 2, open_seconds: float = OPEN_SECONDS) -> None:
        self._clock = clock
        self._failures = failures
        self._open_seconds = open_seconds
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._blocked_until: dict[str, float] = {}

    def allows(self, name: str) -> bool:
        """Whether to try. A name that never failed costs one look-up."""
        if name not in self._blocked_until:
            return True
        with self._lock:
            now = self._clock()
            if now < self._blocked_until.get(name, now):
                return False
            self._blocked_until[name] = now + self._open_seconds
            return True

    def succeeded(self, name: str) -> None:
        """Forget the failures of `name`."""
        if name in self._counts:
            with self._lock:
                self._counts.pop(name, None)
                self._blocked_until.pop(name, None)

    def failed(self, name: str) -> None:
        """Count a failure of `name`."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            if self._counts[name] >= self._failures:
                self._blocked_until[name] = self._clock() + self._open_seconds
