"""Logins that were refused for being too many, remembered for a moment, so that a flood of them costs no database."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

SECONDS = 2.0
"""How long a refusal is remembered. Meanwhile another process may have let somebody in."""
_REMEMBERED = 4096


class RefusedLogins:
    """What was refused (`limits`: an account from an address, an address, a browser), and until when. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, float]] = {}
        """By subject: how long it is remembered, and when an attempt may succeed again."""

    def note(self, subject: str, left_seconds: float) -> None:
        """It is refused for so long."""
        now = self._clock()
        with self._lock:
            if len(self._until) >= _REMEMBERED:
                self._until.clear()
            self._until[subject] = (now + min(SECONDS, left_seconds), now + left_seconds)

    def forget(self, subjects: Iterable[str]) -> None:
        """Somebody was let in."""
        with self._lock:
            for subject in subjects:
                self._until.pop(subject, None)

    def retry_after(self, subjects: Iterable[str]) -> int | None:
        """After how many seconds to try again, if one of them is refused; else None."""
        now = self._clock()
        with self._lock:
            found = [self._until[subject] for subject in subjects if subject in self._until]
        left = [until - now for remembered_until, until in found if now < remembered_until]
        return max(1, math.ceil(max(left))) if left else None
