"""Keeps a hung node from holding up everything: only a few requests wait for a node that has gone silent.

The circuit breaker notices a hung node only when the first answers are overdue, after 2.5 s. Until then every request
for its partitions would take a thread and wait (the bulkhead pattern: M. Nygard, "Release It!").
"""

from __future__ import annotations

from collections.abc import Callable

WAITING = 16
SILENCE_SECONDS = 0.3
TRIAL_SECONDS = 0.1
"""How often one more may try: if all the others wait for slow storage, the node can still serve hits."""


class HungNodeGuard:
    """Knows, for each node, who waits for it and when it last answered. Safe to share between threads.

    A waiter is any object of the caller's, one per request. No lock: each step is one operation of a built-in type.
    """

    def __init__(
        self, clock: Callable[[], float], *, waiting: int = WAITING, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._silence_seconds = silence_seconds
        self._waiters: dict[str, set[object]] = {}
        self._heard_at: dict[str, float] = {}
        self._tried_at: dict[str, float] = {}

    def enter(self, name: str, waiter: object) -> bool:
        """Begin to wait for `name`. False: it has been silent while so many wait that one more should not."""
        waiters = self._waiters.get(name)
        if waiters is None:
            waiters = self._waiters.setdefault(name, set())
        if not waiters:
            # Silence counts from here on.
            self._heard_at[name] = self._clock()
        elif len(waiters) >= self._waiting and self._is_silent(name):
            return False
        waiters.add(waiter)
        return True

    def leave(self, name: str, waiter: object, *, answered: bool) -> None:
        """End what `enter` began."""
        if answered:
            self._heard_at[name] = self._clock()
        self._waiters[name].discard(waiter)

    def _is_silent(self, name: str) -> bool:
        now = self._clock()
        if now - self._heard_at[name] < self._silence_seconds:
            return False
        if now - self._tried_at.get(name, 0.0) >= TRIAL_SECONDS:
            self._tried_at[name] = now
            return False
        return True
