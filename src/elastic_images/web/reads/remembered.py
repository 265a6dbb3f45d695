"""A bounded memory of what the database said, two seconds old at the most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

REMEMBERED_SECONDS = 2.0
"""Counted from before the database was asked: so long somebody sees what they may not see any more."""
_REMEMBERED = 4096


class Remembered(Generic[Key, Value]):
    """Safe to share between threads; `get` waits for nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Key, tuple[Value, float]] = {}
        self._forgotten = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """What is remembered for `key`."""
        found = self._kept.get(key)
        return found[0] if found is not None and self._clock() < found[1] else None

    def look_up(self, key: Key, find: Callable[[], Value], keep: Callable[[Value], bool]) -> Value:
        """What `find` gives, remembered if `keep` says so and nothing was forgotten meanwhile."""
        until, forgotten = self._clock() + REMEMBERED_SECONDS, self._forgotten
        value = find()
        if keep(value):
            with self._lock:
                if forgotten == self._forgotten:
                    self._kept.pop(key, None)
                    if len(self._kept) >= _REMEMBERED:
                        del self._kept[next(iter(self._kept))]  # the one looked up longest ago
                    self._kept[key] = value, until
        return value

    def forget(self) -> None:
        """Forget everything. Look-ups under way are not remembered."""
        with self._lock:
            self._forgotten += 1
            self._kept.clear()
