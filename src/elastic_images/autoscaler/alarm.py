"""How other threads wake the resizer's."""

from __future__ import annotations

import threading


class Alarm:
    """Wakes the one thread that waits. Safe to share between threads."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._wish = threading.Event()

    def wake(self) -> None:
        """Something has changed: look again."""
        self._wake.set()

    def wish(self) -> None:
        """Somebody wants something else: look again, and start at once what is due later."""
        self._wish.set()
        self._wake.set()

    def take_wish(self) -> bool:
        """Whether there was a wish since this was asked last."""
        wished = self._wish.is_set()
        self._wish.clear()
        return wished

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when somebody wakes; what woke is forgotten."""
        self._wake.wait(seconds)
        self._wake.clear()
