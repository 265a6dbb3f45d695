"""A clock that a test moves."""

from __future__ import annotations


class Clock:
    """Stands still at `now` until a test changes it."""

    def __init__(self, now: float = 1_800_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
