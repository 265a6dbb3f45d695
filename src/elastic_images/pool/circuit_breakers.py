"""A circuit breaker for each node: one that failed is left alone for a while, so that it costs time only once."""

from __future__ import annotations

import threading
from collections.abc import Callable

OPEN_SECONDS = 1.0


class CircuitBreakers:
    """Remembers failures by name. Safe to share between threads.

    After `failures` in a row a name is blocked for `open_seconds`; then one caller may try, the others wait for what
    comes of it (the pattern's half-open state: M. Nygard, "Release It!").
    """

    def __init__(self, clock: Callable[[], float], *, failures: int = 2, open_seconds: float = OPEN_SECONDS) -> None:
        self._clock = clock
        self._failures = failures
        self._open_seconds = open_seconds
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._closed_again_at: dict[str, float] = {}

    def allows(self, name: str) -> bool:
        """Whether to try. A name that never failed costs one look-up."""
        if name not in self._closed_again_at:
            return True
        with self._lock:
            now = self._clock()
            if now < self._closed_again_at.get(name, now):
                return False
            self._closed_again_at[name] = now + self._open_seconds
            return True

    def succeeded(self, name: str) -> None:
        """Forget the failures of `name`."""
        if name in self._counts:
            with self._lock:
                self._counts.pop(name, None)
                self._closed_again_at.pop(name, None)

    def failed(self, name: str) -> None:
        """Count a failure of `name`."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            if self._counts[name] >= self._failures:
                self._closed_again_at[name] = self._clock() + self._open_seconds
